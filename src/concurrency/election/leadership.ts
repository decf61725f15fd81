import type { Comparison } from '../../kv/compare.js'
import type { Lock } from '../lock/lock.js'

/** The leadership of an election that was won. It can be relied on as a lock can: see `Lock`. */
export class Leadership implements AsyncDisposable {
  readonly #lock: Lock

  /** Made by `campaign()`. */
  constructor(lock: Lock) {
    this.#lock = lock
  }

  /** The key in etcd that stands for it. */
  get keyText(): string {
    return this.#lock.keyText
  }

  /** The revision at which it began: greater for each leader than for all before. */
  get fence(): number {
    return this.#lock.fence
  }

  /** Aborts, with a `LockLostError`, when it is lost. */
  get signal(): AbortSignal {
    return this.#lock.signal
  }

  /** Whether this is certainly the leader at this moment. */
  isLeader(): boolean {
    return this.#lock.isHeld()
  }

  /**
   * Gives observers another value. Rejects with a `LockLostError` if another one may lead by now, and after the client's
   * `timeoutMs` with `DEADLINE_EXCEEDED`: the value may then be written later, for as long as this is the leader.
   */
  proclaim(value: string): Promise<void> {
    return this.#lock.rewrite(value)
  }

  /** For the `if` of a transaction: it holds as long as this is the leader. */
  guard(): Comparison {
    return this.#lock.guard()
  }

  /** Lets the next candidate lead. */
  resign(): Promise<void> {
    return this.#lock.release()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.resign()
  }
}
