import { type IncomingMessage, request as requestHttp } from 'node:http'
import { request as requestHttps } from 'node:https'
import { sumMetric } from './metrics.js'

/** The TLS material of a request to a member. */
export interface GatewayTls {
  readonly ca: string
  readonly cert: string
  readonly key: string
  /** False for a cluster whose server certificate is wrong on purpose. */
  readonly verify: boolean
}

/** The user that the gateway authenticates as. */
export interface GatewayUser {
  readonly name: string
  readonly password: string
}

/** A JSON object of etcd's gateway: int64 fields are decimal strings, bytes are base64, absent fields are defaults. */
export type GatewayMessage = Readonly<Record<string, unknown>>

/** A call that etcd rejected. */
export class GatewayError extends Error {
  override readonly name = 'GatewayError'
  /** The gRPC status code, or the HTTP status if the response has none. */
  readonly code: number

  constructor(code: number, message: string) {
    super(message)
    this.code = code
  }
}

const unauthenticated = 16

/**
 * Talks to members over etcd's HTTP/JSON gateway. It shares no code with the client library, so that tests
 * can verify the client independently.
 */
export class Gateway {
  readonly #tls: GatewayTls | undefined
  #user: GatewayUser | undefined
  /** Undefined inside the promise: authentication is disabled. */
  #token: Promise<string | undefined> | undefined
  /** The member that has issued the last token: learners issue none. */
  #issuer: string | undefined

  constructor(tls: GatewayTls | undefined) {
    this.#tls = tls
  }

  /** Authenticates all further calls as this user; the token is kept until a member rejects it. */
  authenticateAs(user: GatewayUser): void {
    this.#user = user
    this.#token = undefined
  }

  /** Calls one method, for example `/v3/kv/range`, on the member with this URL. */
  async call(url: string, path: string, message: GatewayMessage = {}, timeoutMs = 10_000): Promise<GatewayMessage> {
    try {
      return await this.#post(url, path, message, await this.#currentToken(url, timeoutMs), timeoutMs)
    } catch (error) {
      if (this.#user === undefined || !isStaleToken(error)) throw error
      this.#token = undefined
      return this.#post(url, path, message, await this.#currentToken(url, timeoutMs), timeoutMs)
    }
  }

  /** Sums the samples of a metric of the member with this URL. */
  async metric(url: string, name: string, labels?: Readonly<Record<string, string>>): Promise<number> {
    return sumMetric(await this.get(`${url}/metrics`, 10_000), name, labels)
  }

  /** Gets the text of a page that needs no authentication; rejects unless the status is 200. */
  async get(url: string, timeoutMs: number): Promise<string> {
    const { status, text } = await this.#request(url, 'GET', undefined, {}, timeoutMs)
    if (status === 200) return text
    throw new GatewayError(status, `HTTP status ${status}: ${text}`)
  }

  async #currentToken(url: string, timeoutMs: number): Promise<string | undefined> {
    const user = this.#user
    if (user === undefined) return undefined
    const token = this.#token ?? this.#authenticate(url, user, timeoutMs)
    this.#token = token
    token.catch(() => {
      if (this.#token === token) this.#token = undefined
    })
    return token
  }

  async #authenticate(url: string, user: GatewayUser, timeoutMs: number): Promise<string | undefined> {
    try {
      const { token } = await this.#post(url, '/v3/auth/authenticate', { ...user }, undefined, timeoutMs)
      this.#issuer = url
      return String(token)
    } catch (error) {
      const issuer = this.#issuer
      if (isFromLearner(error) && issuer !== undefined && issuer !== url) {
        return this.#authenticate(issuer, user, timeoutMs)
      }
      // A test may have switched authentication off.
      if (error instanceof GatewayError && error.message.includes('authentication is not enabled')) return undefined
      throw error
    }
  }

  async #post(
    url: string,
    path: string,
    message: GatewayMessage,
    token: string | undefined,
    timeoutMs: number,
  ): Promise<GatewayMessage> {
    const headers = token === undefined ? {} : { authorization: token }
    const { status, text } = await this.#request(url + path, 'POST', JSON.stringify(message), headers, timeoutMs)
    const answer = parseAnswer(status, text)
    if (status === 200) return answer
    throw new GatewayError(Number(answer.code ?? status), String(answer.message ?? answer.error ?? text))
  }

  #request(
    url: string,
    method: string,
    body: string | undefined,
    headers: Record<string, string>,
    timeoutMs: number,
  ): Promise<{ status: number; text: string }> {
    const options = { method, headers, agent: false, signal: AbortSignal.timeout(timeoutMs) } as const
    return new Promise((resolve, reject) => {
      const onResponse = (response: IncomingMessage) => readText(response).then(resolve, reject)
      const request = url.startsWith('https:')
        ? requestHttps(url, { ...options, ...this.#tlsOptions() }, onResponse)
        : requestHttp(url, options, onResponse)
      request.on('error', reject)
      request.end(body)
    })
  }

  #tlsOptions() {
    if (this.#tls === undefined) return {}
    const { ca, cert, key, verify } = this.#tls
    return { ca, cert, key, rejectUnauthorized: verify }
  }
}

/** The members in an answer of the cluster service. */
export function memberList(answer: GatewayMessage): { name?: string; peerURLs: string[] }[] {
  return answer.members as { name?: string; peerURLs: string[] }[]
}

/** Converts an ID in hexadecimal to the gateway's decimal string. */
export function toDecimalId(hexId: string): string {
  return BigInt(`0x${hexId}`).toString()
}

/** Converts the decimal ID of the JSON gateway to hexadecimal, as etcd prints it. */
export function toHexId(decimal: unknown): string {
  return BigInt(String(decimal)).toString(16)
}

function isFromLearner(error: unknown): boolean {
  return error instanceof GatewayError && error.message.includes('rpc not supported for learner')
}

function isStaleToken(error: unknown): boolean {
  if (!(error instanceof GatewayError)) return false
  return error.code === unauthenticated || /user name is empty|revision of auth store is old/.test(error.message)
}

async function readText(response: IncomingMessage): Promise<{ status: number; text: string }> {
  const chunks: Buffer[] = []
  for await (const chunk of response) chunks.push(chunk)
  return { status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString() }
}

function parseAnswer(status: number, text: string): GatewayMessage {
  try {
    return JSON.parse(text) as GatewayMessage
  } catch {
    throw new GatewayError(status, `HTTP status ${status}: ${text}`)
  }
}
