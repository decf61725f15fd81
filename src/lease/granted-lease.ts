/** A lease as it was granted. */
export interface GrantedLease {
  readonly id: string
  readonly ttlSeconds: number
  /** Until when it certainly exists, on the clock of `performance.now()`. */
  readonly expiresAt: number
}
