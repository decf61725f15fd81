import { createHmac, randomBytes } from 'node:crypto'
import { halfJitterMs } from '../core/backoff.js'
import { isEtcdError } from '../core/errors.js'
import { LRUCache } from '../core/lru.js'
import type { CallContext } from '../transport/transport.js'
import type { Token, TokenReason } from './token.js'

type LoginState =
  | { readonly kind: 'none' }
  | { readonly kind: 'pending'; readonly token: Promise<Token> }
  /** `next` is set while a successor of the token is being requested. */
  | { readonly kind: 'held'; readonly token: Token; next: Promise<Token> | undefined }
  | { readonly kind: 'failed'; readonly error: unknown }

/** Requests a token: `Authenticate`, or the caller's provider. */
export type Authenticate = (reason: TokenReason) => Promise<Token>

/** Minimum time between replacements of tokens that members leave unanswered. */
const heldBackPauseMs = 10_000
const failureBackoff = { baseMs: 1000, maxMs: 60_000 }

/**
 * The token of one user on one cluster, shared by all clients of the process. However many callers need it, only one
 * request is in flight, and all of them share its outcome. After a rejection, no request is made until a backoff has
 * elapsed.
 */
export class Login {
  #state: LoginState
  #failures = 0
  /** Earliest time of the next request after a failure. */
  #askAgainAt = 0
  #heldBackAt = Number.NEGATIVE_INFINITY
  /** The call that requests the token, while it is in flight. */
  asking: CallContext | undefined

  /** `token` is a token issued elsewhere, which is never requested. */
  constructor(token?: Token) {
    this.#state = token === undefined ? { kind: 'none' } : { kind: 'held', token, next: undefined }
  }

  /** The token to use now, if any. */
  get held(): Token | undefined {
    return this.#state.kind === 'held' ? this.#state.token : undefined
  }

  /** Whether a request is in flight, so that `get()` waits for its outcome. */
  get isPending(): boolean {
    return this.#state.kind === 'pending'
  }

  /** Returns the token; calls `authenticate` if there is none and no request is in flight. */
  async get(authenticate: Authenticate, reason: TokenReason): Promise<Token> {
    const state = this.#state
    switch (state.kind) {
      case 'held':
      case 'pending':
        return state.token
      case 'failed':
        if (performance.now() < this.#askAgainAt) throw state.error
        return this.#take(authenticate(reason))
      case 'none':
        return this.#take(authenticate(reason))
    }
  }

  /**
   * A member rejected `token`. A token requested since then is kept: late rejections of an old token have no effect.
   */
  rejected(token: Token): void {
    const state = this.#state
    if (state.kind !== 'held' || state.token !== token) return
    if (state.next === undefined) this.#state = { kind: 'none' }
    // The successor is being requested; callers that need the token now wait for it and receive its failure.
    else this.#take(state.next).catch(() => {})
  }

  /**
   * Members leave calls with `token` unanswered. Returns whether the token is replaced, at most once per interval: a
   * member that lags behind delays the next token, too.
   */
  onStalled(token: Token): boolean {
    const now = performance.now()
    if (now - this.#heldBackAt < heldBackPauseMs) return false
    this.#heldBackAt = now
    this.rejected(token)
    return true
  }

  /**
   * Requests a successor while the current token stays in use. A failure keeps the current token until members reject
   * it.
   */
  async refresh(authenticate: Authenticate): Promise<void> {
    const state = this.#state
    if (state.kind !== 'held' || state.next !== undefined || performance.now() < this.#askAgainAt) return
    state.next = authenticate('expiring')
    try {
      const token = await state.next
      if (this.#state === state) this.#hold(token)
    } catch {
      if (this.#state !== state) return
      state.next = undefined
      this.#backOff()
    }
  }

  async #take(asked: Promise<Token>): Promise<Token> {
    const pending: LoginState = { kind: 'pending', token: asked }
    this.#state = pending
    try {
      const token = await asked
      if (this.#state === pending) this.#hold(token)
      return token
    } catch (error) {
      if (this.#state === pending) this.#fail(error)
      throw error
    }
  }

  #hold(token: Token): void {
    this.#failures = 0
    this.#askAgainAt = 0
    this.#state = { kind: 'held', token, next: undefined }
  }

  #fail(error: unknown): void {
    // Only a rejection is remembered. If the cluster was unreachable, the next call tries again.
    const isRefusal = isEtcdError(error, 'AUTH_FAILED')
    this.#state = isRefusal ? { kind: 'failed', error } : { kind: 'none' }
    if (isRefusal) this.#backOff()
  }

  #backOff(): void {
    this.#failures += 1
    this.#askAgainAt = performance.now() + halfJitterMs(this.#failures, failureBackoff)
  }
}

/** All logins of the process. The keys contain passwords only as digests keyed with a secret of this process. */
const logins = new LRUCache<string, Login>({ max: 1000 })
const secret = randomBytes(32)

/** Returns the login of a user on the cluster behind these endpoints; clients with a common endpoint share it. */
export function sharedLogin(endpoints: readonly string[], username: string, password: string): Login {
  const keys = endpoints.map((endpoint) => loginKey(endpoint, username, password))
  const login = keys.map((key) => logins.get(key)).find((found) => found !== undefined) ?? new Login()
  for (const key of keys) logins.set(key, login)
  return login
}

function loginKey(endpoint: string, username: string, password: string): string {
  const digest = createHmac('sha256', secret)
    .update(JSON.stringify([endpoint, username, password]))
    .digest('base64')
  return `${endpoint} ${digest}`
}
