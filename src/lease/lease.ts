import { isEtcdError } from '../core/errors.js'
import { printAs } from '../core/printing.js'
import { checkCall } from '../transport/call-options.js'
import type { CallOptions } from '../transport/transport.js'
import type { KeepAliveScheduler } from './keep-alive-scheduler.js'
import type { LeaseRecord } from './lease-record.js'

/**
 * The state of a lease:
 *
 * - `active`: the lease exists, and is renewed unless it was granted with `keepAlive: false`;
 * - `activeNoConnection`: the lease exists, but no member can be reached to renew it;
 * - `expired`: it was lost: it was not renewed in time, or the members refuse to renew it;
 * - `revoked`: it was revoked, here or elsewhere;
 * - `closed`: this client stopped renewing it.
 */
export type LeaseState = 'active' | 'activeNoConnection' | 'expired' | 'revoked' | 'closed'

/** What a lease needs from its client. */
export interface LeaseHost {
  readonly keepAlives: KeepAliveScheduler
  revoke(id: string, options: CallOptions | undefined): Promise<void>
}

/**
 * A lease that was granted to this client. The server deletes the keys that are attached to it when it expires or is
 * revoked. Returned by `etcd.lease.grant()`.
 *
 * Its state errs on the safe side: `expiresAt` counts from when the last answered renewal was sent, on a monotonic clock,
 * so the server expires the lease later. That clock stops while the machine is suspended: to exclude two holders of a
 * resource, use a [fencing token](https://etcd.io/docs/latest/learning/why/#notes-on-the-usage-of-lock-and-lease) as well.
 */
export class Lease implements AsyncDisposable {
  static {
    printAs(this, ({ id, state, ttlSeconds }) => ({ id, state, ttlSeconds }))
  }
  readonly #record: LeaseRecord
  readonly #host: LeaseHost
  #revoking: Promise<void> | undefined

  /** @internal Created by `grant()`. */
  constructor(record: LeaseRecord, host: LeaseHost) {
    this.#record = record
    this.#host = host
  }

  /** The ID in hexadecimal, as etcdctl prints it. */
  get id(): string {
    return this.#record.id
  }

  /** The granted TTL, in seconds. It may be longer than requested. */
  get ttlSeconds(): number {
    return this.#record.ttlSeconds
  }

  /** The state at this moment. */
  get state(): LeaseState {
    switch (this.#checked().ended) {
      case undefined:
        return this.#record.isKeptAlive && !this.#host.keepAlives.isConnected ? 'activeNoConnection' : 'active'
      case 'revoked':
        return 'revoked'
      case 'closed':
        return 'closed'
      default:
        return 'expired'
    }
  }

  /** Aborts when the lease can no longer be relied on; its reason is a `LeaseLostError`. */
  get signal(): AbortSignal {
    return this.#checked().signal
  }

  /** The earliest time at which it can expire without another renewal, on the clock of `performance.now()`. */
  get expiresAt(): number {
    return this.#record.expiresAt
  }

  /** Milliseconds until `expiresAt`; 0 if the lease is lost. */
  get remainingMs(): number {
    if (this.#checked().ended !== undefined) return 0
    return Math.max(0, this.#record.expiresAt - performance.now())
  }

  /** Whether the lease can be relied on now. Also correct directly after this process was suspended or blocked. */
  isAlive(): boolean {
    return this.#checked().ended === undefined
  }

  /**
   * Revokes the lease and deletes its keys. The lease counts as lost from this call on; if the call fails, it expires on the
   * server. A lease that no longer exists is not an error.
   */
  async revoke(options?: CallOptions): Promise<void> {
    checkCall('revoke()', options)
    this.#give('revoked')
    this.#revoking ??= this.#revoke(options)
    try {
      await this.#revoking
    } catch (error) {
      this.#revoking = undefined
      throw error
    }
  }

  /** Stops renewing the lease; its keys stay until it expires. */
  close(): void {
    this.#give('closed')
  }

  /** Revokes the lease unless it is lost. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.isAlive()) await this.revoke()
  }

  async #revoke(options: CallOptions | undefined): Promise<void> {
    try {
      await this.#host.revoke(this.id, options)
    } catch (error) {
      if (!isEtcdError(error, 'LEASE_NOT_FOUND')) throw error
    }
  }

  #give(reason: 'revoked' | 'closed'): void {
    this.#host.keepAlives.remove(this.#record)
    this.#record.give(reason)
  }

  #checked(): LeaseRecord {
    this.#host.keepAlives.check(this.#record)
    return this.#record
  }
}
