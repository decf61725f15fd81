import { InvalidArgumentError } from '../core/errors.js'
import { describe } from '../core/validate.js'
import type { DowngradeAction } from '../protobuf/generated/messages.js'
import { methods } from '../protobuf/methods.js'
import { checkCall } from '../transport/call-options.js'
import type { CallOptions } from '../transport/transport.js'
import type { EndpointCalls } from './endpoint-call.js'

/** Result of the downgrade calls. */
export interface DowngradeResult {
  /** The current version of the cluster: `3.6`, or `3.5.0` up to etcd 3.5. */
  readonly clusterVersion: string
}

/**
 * Prepares a cluster of etcd 3.6 or later for members of the previous minor version. Requires the role root if
 * authentication is enabled. etcd 3.5 accepts these calls but cannot downgrade; earlier releases answer
 * `UNIMPLEMENTED`.
 */
export class Downgrade {
  readonly #calls: EndpointCalls

  constructor(calls: EndpointCalls) {
    this.#calls = calls
  }

  /**
   * Checks whether the cluster can be downgraded to `version`.
   *
   * @param version The target, for example `3.6`.
   * @throws `INVALID_DOWNGRADE_TARGET` if it is not one minor version below the cluster's, `WRONG_DOWNGRADE_VERSION` if
   *   it is malformed, `DOWNGRADE_IN_PROCESS`, `CLUSTER_VERSION_UNAVAILABLE`.
   */
  async validate(version: string, options?: CallOptions): Promise<DowngradeResult> {
    checkCall('downgrade.validate()', options)
    return this.#call('VALIDATE', someVersion(version), options)
  }

  /**
   * Starts the downgrade: members can then be replaced by members of `version`, one by one.
   *
   * @throws The errors of `validate()`.
   */
  async enable(version: string, options?: CallOptions): Promise<DowngradeResult> {
    checkCall('downgrade.enable()', options)
    return this.#call('ENABLE', someVersion(version), options)
  }

  /**
   * Cancels a downgrade before a member has been downgraded.
   *
   * @throws `NO_INFLIGHT_DOWNGRADE` up to etcd 3.5 if none is in progress.
   */
  async cancel(options?: CallOptions): Promise<DowngradeResult> {
    checkCall('downgrade.cancel()', options)
    return this.#call('CANCEL', '', options)
  }

  async #call(action: DowngradeAction, version: string, options: CallOptions | undefined): Promise<DowngradeResult> {
    const answer = await this.#calls.any(methods.Maintenance.Downgrade, { action, version }, options)
    return { clusterVersion: answer.version }
  }
}

function someVersion(version: unknown): string {
  if (typeof version === 'string' && /^\d+\.\d+(\.\d+)?$/.test(version)) return version
  throw new InvalidArgumentError(`\`version\` must be a release such as '3.6', got ${describe(version)}`)
}
