import { EtcdError, withReason } from '../core/errors.js'
import { isError } from '../core/thrown.js'
import { describe } from '../core/validate.js'

/** The holder of a lock, or the leader of an election, as its key shows it. */
export interface LockHolder {
  /** The key of the holder: the name of the lock, a slash, and the lease ID. */
  readonly keyText: string
  /** The value of the key. */
  readonly valueText: string
  readonly lease: string | undefined
  readonly createRevision: number
}

/**
 * A lock, a leadership or a permit was not granted within `timeoutMs`. Nothing of the attempt is left behind. The message says if
 * this client itself holds the lock. If no member could be used, `cause` is the reason, such as `NOT_CONNECTED`.
 */
export class LockTimeoutError extends EtcdError {
  override readonly name = 'LockTimeoutError'
  /** The name of the lock. */
  readonly lockName: string

  /** `reason` replaces the message of `cause` in the message. */
  constructor(lockName: string, timeoutMs: number, reason?: string, cause?: unknown) {
    const why = reason ?? (isError(cause) ? cause.message : undefined)
    const text = `lock ${JSON.stringify(lockName)} was not granted within ${Math.round(timeoutMs)} ms`
    super(why === undefined ? text : `${text}: ${why}`, {
      code: 'LOCK_TIMEOUT',
      effect: 'none',
      retryable: true,
      cause,
    })
    this.lockName = lockName
  }
}

/** `tryLock()`, or another call that does not wait, found the lock held. */
export class LockUnavailableError extends EtcdError {
  override readonly name = 'LockUnavailableError'
  /** The name of the lock. */
  readonly lockName: string
  /** The holder, which may be this client; `undefined` if this client waits for the lock and could not read the holder. */
  readonly holder: LockHolder | undefined

  /** `cause` is the reason why the holder is unknown. */
  constructor(lockName: string, holder: LockHolder | undefined, cause?: unknown) {
    const by = holder === undefined ? 'or awaited by this client' : `by ${holder.keyText}`
    const value =
      holder === undefined || holder.valueText === '' ? '' : `, with the value ${describe(holder.valueText)}`
    super(withReason(`lock ${JSON.stringify(lockName)} is held ${by}${value}`, cause), {
      code: 'LOCK_UNAVAILABLE',
      effect: 'none',
      retryable: true,
      cause,
    })
    this.lockName = lockName
    this.holder = holder
  }
}

/**
 * A lock that was held is no longer certain to be: another client may hold it now. Its `effect` is `unknown`, since the work
 * under the lock may have had effects.
 */
export class LockLostError extends EtcdError {
  override readonly name = 'LockLostError'
  /** The name of the lock. */
  readonly lockName: string

  constructor(lockName: string, cause?: unknown) {
    super(withReason(`lock ${JSON.stringify(lockName)} was lost`, cause), {
      code: 'LOCK_LOST',
      effect: 'unknown',
      cause,
    })
    this.lockName = lockName
  }
}

declare module '../core/errors.js' {
  interface ErrorClasses {
    readonly LOCK_TIMEOUT: LockTimeoutError
    readonly LOCK_UNAVAILABLE: LockUnavailableError
    readonly LOCK_LOST: LockLostError
  }
}
