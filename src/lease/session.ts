import { printAs } from '../core/printing.js'
import type { CallOptions } from '../transport/transport.js'
import type { Lease, LeaseState } from './lease.js'

/** The pool that shares the lease. */
export interface SessionHost {
  release(): void
  retire(): void
}

/**
 * A share in a lease that this client keeps alive for all sessions with the same TTL. Returned by `etcd.lease.shared()`.
 *
 * The lease only shows that this process is alive. Keys of different owners within the process need different names.
 */
export class Session implements AsyncDisposable {
  static {
    printAs(this, ({ id, state, ttlSeconds }) => ({ id, state, ttlSeconds }))
  }
  readonly #lease: Lease
  readonly #host: SessionHost
  #isReleased = false

  /** @internal Created by `shared()`. */
  constructor(lease: Lease, host: SessionHost) {
    this.#lease = lease
    this.#host = host
  }

  /** The ID of the lease, for `put(key, value, { lease })`. */
  get id(): string {
    return this.#lease.id
  }

  /** The granted TTL of the lease, in seconds. */
  get ttlSeconds(): number {
    return this.#lease.ttlSeconds
  }

  /** The state of the lease; `closed` after `release()`. */
  get state(): LeaseState {
    return this.#isReleased ? 'closed' : this.#lease.state
  }

  /** Aborts with a `LeaseLostError` when the lease is lost; not when this session is released. */
  get signal(): AbortSignal {
    return this.#lease.signal
  }

  /** The earliest time at which the lease can expire, on the clock of `performance.now()`. */
  get expiresAt(): number {
    return this.#lease.expiresAt
  }

  /** Whether the session is not released and its lease can be relied on now. */
  isAlive(): boolean {
    return !this.#isReleased && this.#lease.isAlive()
  }

  /**
   * Releases this session. The lease is revoked some seconds after its last session was released, which deletes the
   * remaining keys: delete keys yourself if they must disappear now.
   */
  release(): void {
    if (this.#isReleased) return
    this.#isReleased = true
    this.#host.release()
  }

  /**
   * Prevents further sessions on this lease, and revokes it as soon as its last session is released. For a write with this
   * lease whose outcome is unknown, and which may still be applied.
   */
  retire(): void {
    this.#host.retire()
  }

  /** Revokes the lease now, for all its sessions, and deletes its keys. */
  revoke(options?: CallOptions): Promise<void> {
    return this.#lease.revoke(options)
  }

  /** Same as `release()`, for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.release()
  }
}
