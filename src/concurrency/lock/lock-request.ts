/** One who wants a lock, or to lead. */
export interface LockRequest {
  /** The name by which the caller knows the lock: within its namespace, if it has one. */
  readonly name: string
  readonly kind: 'lock' | 'election'
  readonly ttlSeconds: number
  readonly value: string
  readonly timeoutMs: number
  readonly signal: AbortSignal | undefined
  /** Has a key of its own, as others shall see: never one that another holder had. */
  readonly ownKey: boolean
}

/** Whether the key that was made for one holder may become another's. */
export function maySucceed(next: LockRequest, last: LockRequest): boolean {
  return next === last || (next.ttlSeconds === last.ttlSeconds && !next.ownKey && !last.ownKey)
}
