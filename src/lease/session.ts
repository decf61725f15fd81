import type { CallOptions } from '../transport/transport.js'
import type { Lease, LeaseState } from './lease.js'

/** Who shares the lease among its users. */
export interface SessionHost {
  release(): void
  retire(): void
}

/**
 * A part in a lease that is kept alive for all who ask this client for the same time to live. Keys of different holders
 * need names of their own: the lease tells only that this process is alive.
 */
export class Session implements AsyncDisposable {
  readonly #lease: Lease
  readonly #host: SessionHost
  #isReleased = false

  /** Made by `shared()`. */
  constructor(lease: Lease, host: SessionHost) {
    this.#lease = lease
    this.#host = host
  }

  /** The lease's ID, to put keys with. */
  get id(): string {
    return this.#lease.id
  }

  /** How long the lease lives without a renewal, as the server granted it. */
  get ttlSeconds(): number {
    return this.#lease.ttlSeconds
  }

  get state(): LeaseState {
    return this.#isReleased ? 'closed' : this.#lease.state
  }

  /** Aborts when the lease is lost, with a `LeaseLostError`; not when this part in it is released. */
  get signal(): AbortSignal {
    return this.#lease.signal
  }

  /** Until when the lease is certainly there, on the clock of `performance.now()`. */
  get expiresAt(): number {
    return this.#lease.expiresAt
  }

  /** Whether the lease can be relied on at this moment. */
  isAlive(): boolean {
    return !this.#isReleased && this.#lease.isAlive()
  }

  /**
   * Gives this part back. When nobody has asked for another for a while, the lease is revoked, with all keys that are left:
   * delete those that are to go now.
   */
  release(): void {
    if (this.#isReleased) return
    this.#isReleased = true
    this.#host.release()
  }

  /**
   * Lets nobody else have a part in the lease from now on, and has it revoked as soon as the last part is given back: where
   * a write with this lease may still be applied, of which nobody knows.
   */
  retire(): void {
    this.#host.retire()
  }

  /** Ends the lease now, for all who have a part in it, and deletes its keys. */
  revoke(options?: CallOptions): Promise<void> {
    return this.#lease.revoke(options)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.release()
  }
}
