/** A lease that was granted. */
export interface GrantedLease {
  readonly id: string
  readonly ttlSeconds: number
  /** The earliest time at which it can expire, on the clock of `performance.now()`. */
  readonly expiresAt: number
}
