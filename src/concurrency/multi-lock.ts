import { withAnySignal } from '../core/abort.js'
import { InvalidArgumentError } from '../core/errors.js'
import { printAs } from '../core/printing.js'
import { describe } from '../core/validate.js'
import { timeLeft } from '../core/wait.js'
import type { Comparison } from '../kv/compare.js'
import type { LockHandle } from './lock-handle.js'
import { checkLockName, type LockOptions, resolveLockOptions } from './lock-options.js'
import type { Locks } from './locks.js'
import { type ReleaseHost, withdrawWithin } from './release.js'

/**
 * Several locks that were acquired together. They count as held only while all of them are.
 *
 * @example
 * await using both = await etcd.lockAll(['locks/accounts/7', 'locks/accounts/12'])
 * await etcd.txn().if(...both.guards()).then(put('accounts/7', '10'), put('accounts/12', '90')).commit()
 */
export class MultiLock implements AsyncDisposable {
  static {
    printAs(this, (lock) => ({ locks: lock.locks, isHeld: lock.isHeld() }))
  }
  /** The locks, in the order in which they were acquired: the byte order of their names. */
  readonly locks: readonly LockHandle[]
  /** Aborts, with a `LockLostError`, when the first of them is lost. A release does not abort it. */
  readonly signal: AbortSignal

  /** Created by `lockAll()`. */
  constructor(locks: readonly LockHandle[]) {
    this.locks = locks
    this.signal = AbortSignal.any(locks.map(({ signal }) => signal))
  }

  /** Whether all of them are certainly held at this moment. */
  isHeld(): boolean {
    return this.locks.every((lock) => lock.isHeld())
  }

  /** How long all of them are certainly held without another renewal, in milliseconds. */
  get remainingMs(): number {
    return Math.min(...this.locks.map(({ remainingMs }) => remainingMs))
  }

  /**
   * Returns the fencing token of one of the locks.
   *
   * @throws `INVALID_ARGUMENT` if `name` is not the name of one of them.
   */
  fence(name: string): number {
    const lock = this.locks.find((one) => one.name === name)
    if (lock !== undefined) return lock.fence
    throw new InvalidArgumentError(`\`name\` must be one of the locks, got ${describe(name)}`)
  }

  /** Conditions for the `if` of a transaction. They hold as long as nobody else has got one of the locks. */
  guards(): Comparison[] {
    return this.locks.map((lock) => lock.guard())
  }

  /** Releases all of them; see `LockHandle.release()`. */
  async release(): Promise<void> {
    await Promise.all(this.locks.map((lock) => lock.release()))
  }

  /** Same as `release()`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.release()
  }
}

/** Acquires several locks, or none. */
export async function lockAll(
  locks: Locks,
  names: readonly string[],
  options: LockOptions,
  host: ReleaseHost,
): Promise<MultiLock> {
  const { timeoutMs, signal, ttlSeconds, value } = resolveLockOptions('lockAll()', options, true)
  const left = timeLeft(timeoutMs)
  const acquired: LockHandle[] = []
  try {
    for (const name of inOrder(names)) {
      const lock = (either: AbortSignal) => locks.lock(name, { ttlSeconds, value, timeoutMs: left(), signal: either })
      acquired.push(await withAnySignal([...acquired.map((one) => one.signal), signal], lock))
    }
    return new MultiLock(acquired)
  } catch (error) {
    await withdrawWithin(Promise.all(acquired.map((one) => one.release())), host)
    throw error
  }
}

/** Each name once, in an order that is the same in every process, so that no two callers wait for each other. */
function inOrder(names: readonly string[]): string[] {
  if (!Array.isArray(names) || names.length === 0) {
    throw new InvalidArgumentError(`\`names\` must be an array of at least one name, got ${describe(names)}`)
  }
  const unique = [...new Set(names.map(checkLockName))]
  return unique.sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
}
