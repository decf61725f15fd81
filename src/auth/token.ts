import type { ErrorCode } from '../core/errors.js'

/** How members refuse a token. What came with it was not applied. */
const refusals: ReadonlySet<ErrorCode> = new Set(['INVALID_AUTH_TOKEN', 'AUTH_OLD_REVISION', 'USER_EMPTY'])

/** Whether an error is about the token of a call, so that a new one may help. */
export function isTokenRefusal(code: ErrorCode): boolean {
  return refusals.has(code)
}

/** Why a token was asked for: none was there yet, it was about to expire, or a member refused it. */
export type TokenReason = 'first' | 'expiring' | 'rejected'

/** Share of a token's life after which a new one is asked for ahead of time. */
const refreshShare = 0.8
/** How often a token that is in use is looked at for its age. */
const checkEveryMs = 1000
/**
 * A token that ends earlier than this, or has ended, by this machine's clock as soon as it is issued tells that the
 * clocks differ. Going by it would mean to ask without end: such a token is used until a member refuses it.
 */
const leastLifeMs = 1000
/** How long a member may lag behind the one that issued a simple token, and refuse it for that. */
const spreadMs = 300

/**
 * A token as a member issued it, and what is known of its life. A JWT says when it ends. A simple token lives for a time
 * after its last use, on each member apart: one that got no calls for long has forgotten it, while the others have not.
 */
export class Token {
  /** What is sent; `undefined` where the cluster has authentication switched off. */
  readonly value: string | undefined
  /** Whether a change of users or roles ends it: a JWT names the revision that it was issued at, a simple token does not. */
  readonly holdsRevision: boolean
  /** The cluster that issued it; `undefined` where that is not known. */
  readonly clusterId: string | undefined
  readonly #lifeMs: number
  readonly #obtainedAt = performance.now()
  readonly #usedAt = new Map<string, number>()
  #checkAt = 0

  constructor(value: string | undefined, simpleTokenTtlMs: number, clusterId?: string) {
    const payload = value === undefined ? undefined : jwtPayload(value)
    const lifeMs = payload === undefined ? simpleTokenTtlMs : remainingLifeMs(payload)
    this.value = value
    this.clusterId = clusterId
    this.holdsRevision = payload !== undefined
    this.#lifeMs = lifeMs < leastLifeMs ? Number.POSITIVE_INFINITY : lifeMs
  }

  /** A member has taken it. */
  used(endpoint: string | undefined): void {
    if (endpoint !== undefined && !this.holdsRevision) this.#usedAt.set(endpoint, performance.now())
  }

  /** Whether a member that refuses it may only not have heard of it yet, and takes it in a moment. */
  maySpreadTo(endpoint: string | undefined): boolean {
    if (this.value === undefined || this.holdsRevision) return false
    if (endpoint === undefined || this.#usedAt.has(endpoint)) return false
    return performance.now() - this.#obtainedAt < spreadMs
  }

  /** Whether a new one should be asked for before a member refuses this one. */
  isExpiring(): boolean {
    if (this.value === undefined) return false
    const now = performance.now()
    if (now < this.#checkAt) return false
    this.#checkAt = now + Math.min(checkEveryMs, this.#lifeMs / 10)
    const freshUntil = this.#lifeMs * refreshShare
    if (now - this.#obtainedAt < freshUntil) return false
    if (this.holdsRevision) return true
    for (const usedAt of this.#usedAt.values()) if (now - usedAt > freshUntil) return true
    return this.#usedAt.size === 0
  }
}

/** The second of the three parts that make a JWT. */
function jwtPayload(token: string): string | undefined {
  return /^[\w-]+\.([\w-]+)\.[\w-]*$/.exec(token)?.[1]
}

/** How long a JWT has left by its own word; for ever, if it does not say. */
function remainingLifeMs(payload: string): number {
  try {
    const claims: unknown = JSON.parse(Buffer.from(payload, 'base64url').toString())
    const exp = typeof claims === 'object' && claims !== null && 'exp' in claims ? Number(claims.exp) : Number.NaN
    return Number.isFinite(exp) ? exp * 1000 - Date.now() : Number.POSITIVE_INFINITY
  } catch {
    return Number.POSITIVE_INFINITY
  }
}
