/** Why a token was asked for: none was there yet, it was about to expire, or a member refused it. */
export type TokenReason = 'first' | 'expiring' | 'rejected'

/** Share of a token's life after which a new one is asked for ahead of time. */
const refreshShare = 0.8
/** How often a token that is in use is looked at for its age. */
const checkEveryMs = 1000

/**
 * A token as a member issued it, and what is known of its life. A JWT says when it ends. A simple token lives for a time
 * after its last use, on each member apart: one that got no calls for long has forgotten it, while the others have not.
 */
export class Token {
  /** What is sent; `undefined` where the cluster has authentication switched off. */
  readonly value: string | undefined
  readonly #lifeMs: number
  readonly #fixedEnd: boolean
  readonly #obtainedAt = performance.now()
  readonly #usedAt = new Map<string, number>()
  #checkAt = 0

  constructor(value: string | undefined, simpleTokenTtlMs: number) {
    this.value = value
    const jwtLifeMs = value === undefined ? undefined : remainingJwtLifeMs(value)
    this.#fixedEnd = jwtLifeMs !== undefined
    this.#lifeMs = jwtLifeMs ?? simpleTokenTtlMs
  }

  /** A member has taken it. */
  used(endpoint: string | undefined): void {
    if (endpoint !== undefined && !this.#fixedEnd) this.#usedAt.set(endpoint, performance.now())
  }

  /** Whether a new one should be asked for before a member refuses this one. */
  isExpiring(): boolean {
    if (this.value === undefined) return false
    const now = performance.now()
    if (now < this.#checkAt) return false
    this.#checkAt = now + Math.min(checkEveryMs, this.#lifeMs / 10)
    const freshUntil = this.#lifeMs * refreshShare
    if (now - this.#obtainedAt < freshUntil) return false
    if (this.#fixedEnd) return true
    for (const usedAt of this.#usedAt.values()) if (now - usedAt > freshUntil) return true
    return this.#usedAt.size === 0
  }
}

/** How long a JWT has left by its own word; `undefined` for what is no JWT or does not say. */
function remainingJwtLifeMs(token: string): number | undefined {
  const payload = /^[\w-]+\.([\w-]+)\.[\w-]*$/.exec(token)?.[1]
  if (payload === undefined) return undefined
  try {
    const claims: unknown = JSON.parse(Buffer.from(payload, 'base64url').toString())
    const exp = typeof claims === 'object' && claims !== null && 'exp' in claims ? Number(claims.exp) : Number.NaN
    return Number.isFinite(exp) ? Math.max(0, exp * 1000 - Date.now()) : undefined
  } catch {
    return undefined
  }
}
