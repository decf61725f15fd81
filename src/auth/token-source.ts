import { setMaxListeners } from 'node:events'
import { withAnySignal } from '../core/abort.js'
import { copyOf, type ErrorCode, EtcdError, isEtcdError } from '../core/errors.js'
import { messageOf } from '../core/thrown.js'
import { notInTime, type Obstacle, waitWithin } from '../core/wait.js'
import { methods } from '../protobuf/methods.js'
import { begin, type ChannelPair, channels, outcomeOf, settle, tracing } from '../telemetry/channels.js'
import type { AuthenticateStart, ClientIdentity } from '../telemetry/records.js'
import { closedError } from '../transport/connection/connection-manager.js'
import { anyMember, type CallContext, type CallKind, callContext, type Transport } from '../transport/transport.js'
import { type Authenticate, Login, sharedLogin } from './login.js'
import { Token, type TokenReason } from './token.js'

/** Credentials of the client. Not needed with a client certificate. */
export type AuthOptions =
  | {
      readonly username: string
      readonly password: string
      /**
       * Lifetime of an unused simple token, equal to the servers' `--auth-token-ttl`, in milliseconds. @default 300 000
       */
      readonly tokenTtlMs?: number | undefined
    }
  /** A token issued elsewhere, sent unchanged. When members reject it, calls fail. */
  | { readonly token: string }
  | {
      /** Provides tokens issued elsewhere. Called again when members reject a token or it is about to expire. */
      readonly tokenProvider: (reason: TokenReason) => string | Promise<string>
    }

type LoginOptions = Extract<AuthOptions, { username: string }>

/** Events about token requests. */
export interface AuthEvents {
  /** A token was obtained. */
  authenticated: {
    readonly username: string | undefined
    readonly endpoint: string | undefined
    readonly reason: TokenReason
    readonly durationMs: number
  }
  /** A token request failed. */
  authenticationFailed: {
    readonly username: string | undefined
    readonly endpoint: string | undefined
    readonly reason: TokenReason
    readonly error: unknown
  }
}

/** Counts of a client's token requests. */
export interface AuthStats {
  /** Tokens obtained, by the reason of the request. */
  readonly authenticated: Readonly<Record<TokenReason, number>>
  readonly failed: number
}

/** What a token source needs from its client. */
export interface TokenSourceHost {
  /** The transport without authentication, for `Authenticate`. */
  readonly transport: Transport
  readonly client: ClientIdentity
  readonly endpoints: () => readonly string[]
  readonly events: { emit<Name extends keyof AuthEvents>(name: Name, payload: AuthEvents[Name]): void }
  /** Called when a new token is available. */
  readonly renewed: () => void
  readonly obstacle?: Obstacle
}

/**
 * Time limits of one request for a token, independent of the timeouts of the waiting calls: bcrypt is slow under load, and
 * after a restart of the cluster all clients log in at once.
 */
const timeoutMs = { login: 30_000, provider: 10_000 }
const defaultTokenTtlMs = 300_000
const authenticateCall: CallKind = { route: { ...anyMember, healthyOnly: true }, requiresFloor: true, repeatable: true }
const requests: ChannelPair<AuthenticateStart> = { ended: channels.authenticate, traced: tracing.authenticate }

/** A client's source of tokens: selects where they come from, counts requests and emits events. */
export class TokenSource {
  readonly #options: AuthOptions
  readonly #host: TokenSourceHost
  readonly #authenticated = { first: 0, expiring: 0, rejected: 0 }
  #failed = 0
  readonly #closing = new AbortController()
  #login: Login | undefined
  /** Kept in a private field, so that neither `util.inspect` nor JSON shows credentials. */
  readonly #authenticate: Authenticate = (reason) => this.#observed(reason)

  constructor(options: AuthOptions, host: TokenSourceHost) {
    this.#options = options
    this.#host = host
    // Any number of calls may wait for the token; Node's warning about a listener leak does not apply.
    setMaxListeners(0, this.#closing.signal)
  }

  get stats(): AuthStats {
    return { authenticated: { ...this.#authenticated }, failed: this.#failed }
  }

  /** The current token as sent to members, if any. */
  get held(): string | undefined {
    return this.#sharedLogin().held?.value
  }

  /** Why there is no token yet, while one is being requested. */
  obstacle(): EtcdError | undefined {
    const login = this.#sharedLogin()
    return login.isPending ? login.asking?.progress.lastFailure : undefined
  }

  /** Whether a rejected token can be replaced. */
  get renews(): boolean {
    return !('token' in this.#options)
  }

  /** The token to use now without waiting, if any. Requests a successor when the token gets old. */
  current(): Token | undefined {
    const login = this.#sharedLogin()
    const token = login.held
    if (this.renews && token?.isExpiring() === true) void login.refresh(this.#authenticate)
    return token
  }

  /** Resolves to the token as soon as there is one. */
  async get(reason: TokenReason, context: CallContext): Promise<Token> {
    for (let isFirst = true; ; isFirst = false) {
      const login = this.#sharedLogin()
      const joins = login.isPending
      try {
        return await withinCall(
          login.get(this.#authenticate, reason),
          context,
          this.#closing.signal,
          () => this.#host.obstacle?.() ?? this.obstacle(),
        )
      } catch (error) {
        if (isFirst && joins && this.#deservesOwnAttempt(error, context)) continue
        // Another client that shares this login was closed while it requested the token.
        if (isEtcdError(error, 'CLOSED') && !this.#closing.signal.aborted) continue
        // All waiting callers share the error; each gets a copy with its own stack.
        throw copyOf(error)
      }
    }
  }

  /** A member rejected `token` with the error `code`. */
  rejected(token: Token, code: ErrorCode): void {
    // Users or roles changed while the member processed the call. A token without a revision is still valid.
    if (code === 'AUTH_OLD_REVISION' && !token.holdsRevision) return
    this.#loginOfNow().rejected(token)
  }

  /** Members leave calls with this token unanswered. Returns whether another token takes its place. */
  onStalled(value: string): boolean {
    if (!this.renews) return false
    const login = this.#loginOfNow()
    // Another client that shares the login, or another member, was first.
    return login.held?.value === value ? login.onStalled(login.held) : true
  }

  /** The client has switched to this cluster; a token of another cluster is invalid there. */
  clusterFollowed(clusterId: string): void {
    const login = this.#loginOfNow()
    const token = login.held
    if (token?.clusterId !== undefined && token.clusterId !== clusterId) login.rejected(token)
  }

  /** Ends all waits for tokens, because the client is closed. */
  close(): void {
    this.#closing.abort(closedError())
  }

  /** The endpoints may have been replaced by those of another cluster, which has another login. */
  #loginOfNow(): Login {
    if ('username' in this.#options) this.#login = undefined
    return this.#sharedLogin()
  }

  #sharedLogin(): Login {
    if (this.#login !== undefined) return this.#login
    this.#login = this.#findLogin()
    return this.#login
  }

  #findLogin(): Login {
    const options = this.#options
    if ('username' in options) return sharedLogin(this.#host.endpoints(), options.username, options.password)
    return 'token' in options ? new Login(new Token(options.token, Number.POSITIVE_INFINITY)) : new Login()
  }

  /**
   * Whether a caller that waited for a request started by another caller may start its own. The shared request may have
   * used up its time before this caller joined, or lack a connection that this client has. A rejection by the cluster
   * would repeat.
   */
  #deservesOwnAttempt(error: unknown, { deadlineAt, signal }: CallContext): boolean {
    if (this.#closing.signal.aborted || !isEtcdError(error) || error.code === 'AUTH_FAILED') return false
    return signal?.aborted !== true && performance.now() < deadlineAt
  }

  async #observed(reason: TokenReason): Promise<Token> {
    const startedAt = performance.now()
    const username = 'username' in this.#options ? this.#options.username : undefined
    const askTimeoutMs = username === undefined ? timeoutMs.provider : timeoutMs.login
    const context = callContext({ timeoutMs: askTimeoutMs }, authenticateCall)
    const login = this.#sharedLogin()
    login.asking = context
    const start = { client: this.#host.client, username, reason }
    const payload = () => ({
      username,
      endpoint: context.progress.endpoint,
      reason,
      durationMs: performance.now() - startedAt,
    })
    try {
      const token = await begin(requests.traced, start, () => this.#obtain(reason, context))
      this.#authenticated[reason] += 1
      setImmediate(this.#host.renewed)
      this.#host.events.emit('authenticated', payload())
      settle(requests, Object.assign(start, payload(), { outcome: { ok: true } as const }))
      return token
    } catch (cause) {
      const error = named(cause, username)
      this.#failed += 1
      this.#host.events.emit('authenticationFailed', { ...payload(), error })
      settle(requests, Object.assign(start, payload(), { outcome: outcomeOf(error) }), error)
      throw error
    } finally {
      if (login.asking === context) login.asking = undefined
    }
  }

  async #obtain(reason: TokenReason, context: CallContext): Promise<Token> {
    const options = this.#options
    if ('username' in options) return this.#logIn(options, context)
    const value =
      'token' in options ? options.token : await provided(options.tokenProvider, reason, context, this.#closing.signal)
    return new Token(value, Number.POSITIVE_INFINITY)
  }

  async #logIn({ username, password, tokenTtlMs = defaultTokenTtlMs }: LoginOptions, context: CallContext) {
    try {
      const request = { name: username, password }
      const { token, header } = await this.#host.transport.unary(methods.Auth.Authenticate, request, context)
      return new Token(token, tokenTtlMs, header?.clusterId)
    } catch (error) {
      if (isEtcdError(error, 'AUTH_NOT_ENABLED')) return new Token(undefined, tokenTtlMs)
      throw error
    }
  }
}

/**
 * Whether `token` can be sent in a header. The transport would reject anything else with a message that contains the
 * token.
 */
export function isTokenText(token: unknown): token is string {
  return typeof token === 'string' && /^[\x21-\x7e]+$/.test(token)
}

async function provided(
  provider: Extract<AuthOptions, { tokenProvider: unknown }>['tokenProvider'],
  reason: TokenReason,
  context: CallContext,
  closing: AbortSignal,
): Promise<string> {
  try {
    const token: unknown = await withinCall(asyncCall(provider, reason), context, closing)
    if (isTokenText(token)) return token
    throw new TypeError('it must return a token: a non-empty string of visible ASCII characters')
  } catch (cause) {
    if (closing.aborted) throw cause
    const why = messageOf(cause)
    throw new EtcdError(`auth.tokenProvider failed: ${why}`, { code: 'AUTH_FAILED', effect: 'none', cause })
  }
}

/** Calls the provider; turns exceptions into rejections. */
async function asyncCall(provider: (reason: TokenReason) => unknown, reason: TokenReason): Promise<unknown> {
  return provider(reason)
}

/** Limits the wait of one caller, whose timeout may be shorter than that of the shared request. */
function withinCall<T>(
  asked: Promise<T>,
  { deadlineAt, signal }: CallContext,
  closing: AbortSignal,
  obstacle?: Obstacle,
): Promise<T> {
  const late = (): Error => notInTime('the deadline passed while waiting for authentication', obstacle?.())
  return withAnySignal([signal, closing], (either) =>
    waitWithin(asked, { signal: either, timeoutMs: deadlineAt - performance.now() }, late),
  )
}

/** Adds the user name to the error. The password never appears in a message. */
function named(error: unknown, username: string | undefined): unknown {
  if (!isEtcdError(error, 'AUTH_FAILED') || username === undefined) return error
  return new EtcdError(`authentication failed for user ${JSON.stringify(username)}: wrong user or password`, {
    code: 'AUTH_FAILED',
    effect: 'none',
    endpoint: error.endpoint,
    method: error.method,
    grpcCode: error.grpcCode,
    cause: error,
  })
}
