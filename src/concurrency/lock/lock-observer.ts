/** What one waits for: a lock, to lead, a part in a read-write lock, a permit of a semaphore. */
export type LockKind = 'lock' | 'election' | 'read' | 'write' | 'semaphore'

/** What somebody has asked for. */
export interface AskedLock {
  /** What its keys begin with, before a slash, of whatever namespace. */
  readonly name: Uint8Array
  readonly kind: LockKind
}

/** What was granted, as far as it is followed. */
export interface GrantedLock {
  readonly fence: number
  /** Aborts when it is lost. */
  readonly signal: AbortSignal
}

/** Who follows the locks of a client. */
export interface LockObserver {
  /** Waits for a lock on behalf of one who wants it. */
  lockAsked<Lock extends GrantedLock>(asked: AskedLock, wait: () => Promise<Lock>): Promise<Lock>
  lockReleased(lock: GrantedLock): void
}
