import { isEtcdError } from '../core/errors.js'
import { checkCall } from '../transport/call-options.js'
import type { CallOptions } from '../transport/transport.js'
import type { KeepAliveScheduler } from './keep-alive-scheduler.js'
import type { LeaseRecord } from './lease-record.js'

/**
 * - `active`: it is there, and is renewed.
 * - `activeNoConnection`: it is there, and no member can be reached to renew it.
 * - `expired`: it was lost: it ran out, or the members refuse to renew it.
 * - `revoked`: it was ended before its time, here or elsewhere.
 * - `closed`: it is no longer renewed, by the wish of this client.
 */
export type LeaseState = 'active' | 'activeNoConnection' | 'expired' | 'revoked' | 'closed'

/** What a lease object works with. */
export interface LeaseHost {
  readonly keepAlives: KeepAliveScheduler
  revoke(id: string, options: CallOptions | undefined): Promise<void>
}

/**
 * A lease that this client was granted. Keys that are put with its `id` are deleted by the server when it ends.
 *
 * What it says of itself errs on the safe side: `expiresAt` counts from the sending of the last renewal that was answered,
 * on a clock that no change of the time of day moves, so that the server ends the lease later than that. A machine that
 * sleeps stops that clock, too: whatever must never be done by two holders needs a fence besides.
 */
export class Lease implements AsyncDisposable {
  readonly #record: LeaseRecord
  readonly #host: LeaseHost
  #revoking: Promise<void> | undefined

  /** Made by `grant()`. */
  constructor(record: LeaseRecord, host: LeaseHost) {
    this.#record = record
    this.#host = host
  }

  /** Its ID as etcdctl prints it, in hexadecimal. */
  get id(): string {
    return this.#record.id
  }

  /** How long it lives without a renewal: what the server granted, which may be more than was asked for. */
  get ttlSeconds(): number {
    return this.#record.ttlSeconds
  }

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

  /** Aborts when the lease is no longer to be relied on, with a `LeaseLostError` that has the reason. */
  get signal(): AbortSignal {
    return this.#checked().signal
  }

  /** Until when it is certainly there, unless it is revoked; on the clock of `performance.now()`. */
  get expiresAt(): number {
    return this.#record.expiresAt
  }

  /** The time that is left without another renewal; 0 when it is over. */
  get remainingMs(): number {
    if (this.#checked().ended !== undefined) return 0
    return Math.max(0, this.#record.expiresAt - performance.now())
  }

  /** Whether it can be relied on at this moment: right also where this process has not run for a while. */
  isAlive(): boolean {
    return this.#checked().ended === undefined
  }

  /**
   * Ends it now, and deletes its keys. It counts as lost from the call on; when the call fails, the server ends it when its
   * time is over. That it was gone already is no failure.
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

  /** Stops renewing it, and leaves its keys there until its time is over. */
  close(): void {
    this.#give('closed')
  }

  /** Revokes it, unless it is over. */
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
