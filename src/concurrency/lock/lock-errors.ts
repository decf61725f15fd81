import { EtcdError, withReason } from '../../core/errors.js'

/** Who holds a lock, as far as its key tells. */
export interface LockHolder {
  /** The key of the holder: the lock's name, a slash and the lease. */
  readonly keyText: string
  /** What the holder has put there. */
  readonly valueText: string
  readonly lease: string | undefined
  readonly createRevision: number
}

/**
 * A lock was not granted within `timeoutMs`. Nothing of the attempt stays behind. The message tells when this very client
 * holds it, and when members could not be reached; that is the `cause` then.
 */
export class LockTimeoutError extends EtcdError {
  override readonly name = 'LockTimeoutError'
  readonly lockName: string

  /** `why` is what is known of the reason, and `cause` the failure that stood in the way. */
  constructor(lockName: string, timeoutMs: number, why?: string, cause?: unknown) {
    const reason = why ?? (cause instanceof Error ? cause.message : undefined)
    const text = `lock ${JSON.stringify(lockName)} was not granted within ${Math.round(timeoutMs)} ms`
    super(reason === undefined ? text : `${text}: ${reason}`, {
      code: 'LOCK_TIMEOUT',
      effect: 'none',
      retryable: true,
      cause,
    })
    this.lockName = lockName
  }
}

/** `tryLock()` found the lock held. */
export class LockUnavailableError extends EtcdError {
  override readonly name = 'LockUnavailableError'
  readonly lockName: string
  /** Who holds it, which may be this very client; `undefined` where that is not known, since this client waits for it. */
  readonly holder: LockHolder | undefined

  /** `cause` is why it could not be found out who holds it. */
  constructor(lockName: string, holder: LockHolder | undefined, cause?: unknown) {
    const by = holder === undefined ? 'or awaited by this client' : `by ${holder.keyText}`
    const value =
      holder === undefined || holder.valueText === '' ? '' : `, with the value ${JSON.stringify(holder.valueText)}`
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
 * A lock that was held is no longer certain to be: another one may hold it now. Its `effect` is `unknown`, since what was done
 * under the lock may have had some.
 */
export class LockLostError extends EtcdError {
  override readonly name = 'LockLostError'
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

declare module '../../core/errors.js' {
  interface ErrorClasses {
    readonly LOCK_TIMEOUT: LockTimeoutError
    readonly LOCK_UNAVAILABLE: LockUnavailableError
    readonly LOCK_LOST: LockLostError
  }
}
