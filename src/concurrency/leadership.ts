import { printAs } from '../core/printing.js'
import type { Comparison } from '../kv/compare.js'
import type { LockHandle } from './lock-handle.js'

/** The leadership of an election. It is as certain as a lock: see `LockHandle`. */
export class Leadership implements AsyncDisposable {
  static {
    printAs(this, (leadership) => {
      const { keyText, fence } = leadership
      return { keyText, fence, isLeader: leadership.isLeader() }
    })
  }
  readonly #lock: LockHandle

  /** Created by `campaign()`. */
  constructor(lock: LockHandle) {
    this.#lock = lock
  }

  /** The key in etcd that stands for the leadership. */
  get keyText(): string {
    return this.#lock.keyText
  }

  /** The fencing token: the revision at which the leadership began. It is greater than those of all earlier leaders. */
  get fence(): number {
    return this.#lock.fence
  }

  /** Aborts, with a `LockLostError`, when the leadership is lost. */
  get signal(): AbortSignal {
    return this.#lock.signal
  }

  /** Whether this is certainly the leader at this moment. */
  isLeader(): boolean {
    return this.#lock.isHeld()
  }

  /**
   * Changes the value of the key, which observers see.
   *
   * @throws `LockLostError` if this is no longer the leader. `DEADLINE_EXCEEDED` after the client's `timeoutMs`: the value may then
   * be written later, during this leadership.
   */
  proclaim(value: string): Promise<void> {
    return this.#lock.rewrite(value)
  }

  /** A condition for the `if` of a transaction. It holds as long as this is the leader. */
  guard(): Comparison {
    return this.#lock.guard()
  }

  /** Ends the leadership, for the next candidate; see `LockHandle.release()`. */
  resign(): Promise<void> {
    return this.#lock.release()
  }

  /** Same as `resign()`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.resign()
  }
}
