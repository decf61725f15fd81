import type { ErrorCode } from '../core/errors.js'

/** Errors with which members reject a token. The call was not applied. */
const refusals: ReadonlySet<ErrorCode> = new Set(['INVALID_AUTH_TOKEN', 'AUTH_OLD_REVISION', 'USER_EMPTY'])

/** Whether the error concerns the token of a call, so that a new token may help. */
export function isTokenRefusal(code: ErrorCode): boolean {
  return refusals.has(code)
}

/** Why a token is requested: there was none, it is about to expire, or a member rejected it. */
export type TokenReason = 'first' | 'expiring' | 'rejected'

/** Fraction of a token's lifetime after which a successor is requested. */
const refreshShare = 0.8
/** How often the age of a token in use is checked. */
const checkEveryMs = 1000
/**
 * A token whose expiry is earlier than this when it is issued means that the clocks differ. Renewing it by its expiry
 * would never end, so such a token is used until a member rejects it.
 */
const minLifeMs = 1000
/** How long a member may lag behind the issuer of a simple token, and reject it for that reason. */
const spreadMs = 300

/**
 * A token and what is known about its lifetime. A JWT contains its expiry. A simple token expires on each member
 * separately, some time after its last use there: a member without traffic may have dropped it while others have not.
 */
export class Token {
  /** The text to send; `undefined` if authentication is disabled on the cluster. */
  readonly value: string | undefined
  /**
   * Whether a change of users or roles invalidates it: a JWT contains the auth revision at which it was issued, a
   * simple token does not.
   */
  readonly holdsRevision: boolean
  /** The cluster that issued it; `undefined` if unknown. */
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
    this.#lifeMs = lifeMs < minLifeMs ? Number.POSITIVE_INFINITY : lifeMs
  }

  /** A member has accepted it. */
  used(endpoint: string | undefined): void {
    if (endpoint !== undefined && !this.holdsRevision) this.#usedAt.set(endpoint, performance.now())
  }

  /** Whether a member that rejects it may only not have received it yet, and may accept it shortly. */
  maySpreadTo(endpoint: string | undefined): boolean {
    if (this.value === undefined || this.holdsRevision) return false
    if (endpoint === undefined || this.#usedAt.has(endpoint)) return false
    return performance.now() - this.#obtainedAt < spreadMs
  }

  /** Whether to request a successor before a member rejects it. */
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

/** The second of the three parts of a JWT. */
function jwtPayload(token: string): string | undefined {
  return /^[\w-]+\.([\w-]+)\.[\w-]*$/.exec(token)?.[1]
}

/** The remaining lifetime that a JWT states; infinite if it states none. */
function remainingLifeMs(payload: string): number {
  try {
    const claims: unknown = JSON.parse(Buffer.from(payload, 'base64url').toString())
    const exp = typeof claims === 'object' && claims !== null && 'exp' in claims ? Number(claims.exp) : Number.NaN
    return Number.isFinite(exp) ? exp * 1000 - Date.now() : Number.POSITIVE_INFINITY
  } catch {
    return Number.POSITIVE_INFINITY
  }
}
