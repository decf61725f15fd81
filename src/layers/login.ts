import { createHmac, randomBytes } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import { halfJitterMs } from '../core/backoff.js'
import { isEtcdError } from '../core/errors.js'
import type { Token, TokenReason } from './token.js'

type LoginState =
  | { readonly kind: 'none' }
  | { readonly kind: 'pending'; readonly token: Promise<Token> }
  | { readonly kind: 'held'; readonly token: Token; refreshing: boolean }
  | { readonly kind: 'failed'; readonly error: unknown; readonly until: number; readonly failures: number }

/** Asks for a token: `Authenticate`, or the caller's own provider. */
export type Authenticate = (reason: TokenReason) => Promise<Token>

const failureBackoff = { baseMs: 1000, maxMs: 60_000 }

/**
 * The one token of a user on a cluster, for all clients of the process. However many callers need it, one asks; they all
 * share what comes of it, a failure too: after a refusal nobody asks again before a backoff is over.
 */
export class Login {
  #state: LoginState = { kind: 'none' }
  #failures = 0

  /** The token to use now, if there is one. */
  get held(): Token | undefined {
    return this.#state.kind === 'held' ? this.#state.token : undefined
  }

  /** The token; `authenticate` is called if there is none and nobody is asking yet. */
  async get(authenticate: Authenticate, reason: TokenReason): Promise<Token> {
    const state = this.#state
    switch (state.kind) {
      case 'held':
        return state.token
      case 'pending':
        return state.token
      case 'failed':
        if (performance.now() < state.until) throw state.error
        return this.#ask(authenticate, reason)
      case 'none':
        return this.#ask(authenticate, reason)
    }
  }

  /** A member refused `token`. What was asked for since then stays: late refusals of an old token change nothing. */
  rejected(token: Token | undefined): void {
    if (this.#state.kind === 'held' && this.#state.token === token) this.#state = { kind: 'none' }
  }

  /** Gets a new token while the old one is still in use. Failures leave the old one: members will say when it is over. */
  async refresh(authenticate: Authenticate): Promise<void> {
    const state = this.#state
    if (state.kind !== 'held' || state.refreshing) return
    state.refreshing = true
    try {
      const token = await authenticate('expiring')
      if (this.#state === state) this.#state = { kind: 'held', token, refreshing: false }
    } catch {
      state.refreshing = false
    }
  }

  async #ask(authenticate: Authenticate, reason: TokenReason): Promise<Token> {
    const asked = authenticate(reason)
    const pending: LoginState = { kind: 'pending', token: asked }
    this.#state = pending
    try {
      const token = await asked
      this.#failures = 0
      if (this.#state === pending) this.#state = { kind: 'held', token, refreshing: false }
      return token
    } catch (error) {
      if (this.#state === pending) this.#state = this.#afterFailure(error)
      throw error
    }
  }

  #afterFailure(error: unknown): LoginState {
    // Only a refusal is remembered. A cluster that could not be reached is asked again by the next call.
    if (!isEtcdError(error, 'AUTH_FAILED')) return { kind: 'none' }
    this.#failures += 1
    const until = performance.now() + halfJitterMs(this.#failures, failureBackoff)
    return { kind: 'failed', error, until, failures: this.#failures }
  }
}

/** All logins of the process. Passwords are in its keys only as digests under a secret of this process. */
const logins = new LRUCache<string, Login>({ max: 1000 })
const secret = randomBytes(32)

/** The login of a user on the cluster behind these endpoints; clients that share an endpoint share it. */
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
