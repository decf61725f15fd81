import { withAnySignal } from '../../core/abort.js'
import { InvalidArgumentError } from '../../core/errors.js'
import { describe } from '../../core/validate.js'
import { timeLeft } from '../../core/wait.js'
import type { Comparison } from '../../kv/compare.js'
import type { Lock } from '../lock/lock.js'
import { checkLockName, type LockOptions } from '../lock/lock-options.js'
import type { Locks } from '../lock/locks.js'
import { type ReleaseHost, withdrawWithin } from '../lock/release.js'
import { grantRequest } from './acquire.js'

/** Several locks that were granted together: they are held as long as all of them are. */
export class MultiLock implements AsyncDisposable {
  /** The locks, in the order in which they were taken: that of their names' bytes. */
  readonly locks: readonly Lock[]
  /** Aborts, with a `LockLostError`, when the first of them is lost. Their release does not abort it. */
  readonly signal: AbortSignal

  /** Made by `lockAll()`. */
  constructor(locks: readonly Lock[]) {
    this.locks = locks
    this.signal = AbortSignal.any(locks.map(({ signal }) => signal))
  }

  /** Whether all are certainly held at this moment. */
  isHeld(): boolean {
    return this.locks.every((lock) => lock.isHeld())
  }

  /** Time that all are certainly held without a renewal. */
  get remainingMs(): number {
    return Math.min(...this.locks.map(({ remainingMs }) => remainingMs))
  }

  /** The fence of one of the locks. */
  fence(name: string): number {
    const lock = this.locks.find((one) => one.name === name)
    if (lock !== undefined) return lock.fence
    throw new InvalidArgumentError(`\`name\` must be one of the locks, got ${describe(name)}`)
  }

  /** For the `if` of a transaction: they hold as long as nobody else has come to hold one of the locks. */
  guards(): Comparison[] {
    return this.locks.map((lock) => lock.guard())
  }

  /** Gives all of them up. */
  async release(): Promise<void> {
    await Promise.all(this.locks.map((lock) => lock.release()))
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.release()
  }
}

/** Takes several locks, or none. */
export async function lockAll(
  locks: Locks,
  names: readonly string[],
  options: LockOptions,
  host: ReleaseHost,
): Promise<MultiLock> {
  const { timeoutMs, signal, ttlSeconds, value } = grantRequest('lockAll()', '', options, true)
  const left = timeLeft(timeoutMs)
  const taken: Lock[] = []
  try {
    for (const name of inOrder(names)) {
      const take = (either: AbortSignal) => locks.lock(name, { ttlSeconds, value, timeoutMs: left(), signal: either })
      taken.push(await withAnySignal([...taken.map((lock) => lock.signal), signal], take))
    }
    return new MultiLock(taken)
  } catch (error) {
    await withdrawWithin(Promise.all(taken.map((lock) => lock.release())), host)
    throw error
  }
}

/** Each name once, in an order that is the same everywhere, so that nobody waits in a circle. */
function inOrder(names: readonly string[]): string[] {
  if (!Array.isArray(names) || names.length === 0) {
    throw new InvalidArgumentError(`\`names\` must be an array of at least one name, got ${describe(names)}`)
  }
  const unique = [...new Set(names.map(checkLockName))]
  return unique.sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
}
