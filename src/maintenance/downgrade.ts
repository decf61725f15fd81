import { InvalidArgumentError } from '../core/errors.js'
import { describe } from '../core/validate.js'
import type { DowngradeAction } from '../protobuf/generated/messages.js'
import { methods } from '../protobuf/methods.js'
import { checkCall } from '../transport/call-options.js'
import type { CallOptions } from '../transport/transport.js'
import type { EndpointCalls } from './endpoint-call.js'

/** What the calls about downgrades resolve to. */
export interface DowngradeResult {
  /** The release that the cluster runs as now: `3.6`, and up to etcd 3.5 `3.5.0`. */
  readonly clusterVersion: string
}

/**
 * Prepares a cluster of etcd 3.6 or later for members of the release before. Needs the role root where authentication
 * is on. Members of etcd 3.5 know these calls, but not how to go down; those before answer `UNIMPLEMENTED`.
 */
export class Downgrade {
  readonly #calls: EndpointCalls

  constructor(calls: EndpointCalls) {
    this.#calls = calls
  }

  /**
   * Whether the cluster could go down to `version`, for example `3.6`. Rejects with `INVALID_DOWNGRADE_TARGET` if it is
   * not the release before the cluster's own, `WRONG_DOWNGRADE_VERSION` if it is no release, `DOWNGRADE_IN_PROCESS`,
   * `CLUSTER_VERSION_UNAVAILABLE`.
   */
  async validate(version: string, options?: CallOptions): Promise<DowngradeResult> {
    checkCall('downgrade.validate()', options)
    return this.#call('VALIDATE', someVersion(version), options)
  }

  /** Begins it: from then on members of `version` may take the place of others, one by one. Refused as `validate()`. */
  async enable(version: string, options?: CallOptions): Promise<DowngradeResult> {
    checkCall('downgrade.enable()', options)
    return this.#call('ENABLE', someVersion(version), options)
  }

  /** Ends it before a member has gone down. Where there is none, `NO_INFLIGHT_DOWNGRADE` up to etcd 3.5. */
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
