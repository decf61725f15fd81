import { createHmac, randomBytes } from 'node:crypto'
import { halfJitterMs } from '../core/backoff.js'
import { isEtcdError } from '../core/errors.js'
import { LRUCache } from '../core/lru.js'
import type { CallContext } from '../transport/transport.js'
import type { Token, TokenReason } from './token.js'

type LoginState =
  | { readonly kind: 'none' }
  | { readonly kind: 'pending'; readonly token: Promise<Token> }
  /** `next` is there while the token's successor is being asked for. */
  | { readonly kind: 'held'; readonly token: Token; next: Promise<Token> | undefined }
  | { readonly kind: 'failed'; readonly error: unknown }

/** Asks for a token: `Authenticate`, or the caller's own provider. */
export type Authenticate = (reason: TokenReason) => Promise<Token>

/** Between tokens that are replaced since members leave calls with them unanswered. */
const heldBackPauseMs = 10_000
const failureBackoff = { baseMs: 1000, maxMs: 60_000 }

/**
 * The one token of a user on a cluster, for all clients of the process. However many callers need it, one asks; they all
 * share what comes of it, a failure too: after a refusal nobody asks again before a backoff is over.
 */
export class Login {
  #state: LoginState
  #failures = 0
  /** After a failure: when it may be asked again. */
  #askAgainAt = 0
  #heldBackAt = Number.NEGATIVE_INFINITY
  /** The call that asks for the token, while one does. */
  asking: CallContext | undefined

  /** With `token`, one that was issued elsewhere and is never asked for. */
  constructor(token?: Token) {
    this.#state = token === undefined ? { kind: 'none' } : { kind: 'held', token, next: undefined }
  }

  /** The token to use now, if there is one. */
  get held(): Token | undefined {
    return this.#state.kind === 'held' ? this.#state.token : undefined
  }

  /** Whether somebody is asking for the token, so that `get()` waits for what comes of that. */
  get isPending(): boolean {
    return this.#state.kind === 'pending'
  }

  /** The token; `authenticate` is called if there is none and nobody is asking yet. */
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

  /** A member refused `token`. What was asked for since then stays: late refusals of an old token change nothing. */
  rejected(token: Token): void {
    const state = this.#state
    if (state.kind !== 'held' || state.token !== token) return
    if (state.next === undefined) this.#state = { kind: 'none' }
    // Its successor is on the way: whoever needs the token now waits for that one. Its failure is theirs to see.
    else this.#take(state.next).catch(() => {})
  }

  /**
   * Members leave calls with `token` unanswered. Returns whether it is replaced, which is done once in a while: a member that
   * is behind holds the next one back, too.
   */
  onStalled(token: Token): boolean {
    const now = performance.now()
    if (now - this.#heldBackAt < heldBackPauseMs) return false
    this.#heldBackAt = now
    this.rejected(token)
    return true
  }

  /** Gets a new token while the old one is still in use. Failures leave the old one: members will say when it is over. */
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
    // Only a refusal is remembered. A cluster that could not be reached is asked again by the next call.
    const isRefusal = isEtcdError(error, 'AUTH_FAILED')
    this.#state = isRefusal ? { kind: 'failed', error } : { kind: 'none' }
    if (isRefusal) this.#backOff()
  }

  #backOff(): void {
    this.#failures += 1
    this.#askAgainAt = performance.now() + halfJitterMs(this.#failures, failureBackoff)
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
