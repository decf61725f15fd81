import { readFileSync } from 'node:fs'
import { get as httpGet, type IncomingMessage } from 'node:http'
import { get as httpsGet, type RequestOptions } from 'node:https'
import { TLSSocket } from 'node:tls'
import type { TlsOptions } from '../../index.js'
import { memberMetrics } from './member-metrics.js'
import type { MemberReport } from './report.js'

/** What can be seen of a member over HTTP, which it serves beside gRPC. */
export type HttpLook = Pick<MemberReport, 'metrics' | 'tls' | 'clock'>

const nothing: HttpLook = { metrics: undefined, tls: undefined, clock: undefined }

interface LookOptions {
  readonly tls: TlsOptions | undefined
  readonly timeoutMs: number
  readonly signal: AbortSignal
}

/** Looks at a member's version and metrics; what it does not show is `undefined`. */
export async function lookOverHttp(endpoint: string, options: LookOptions): Promise<HttpLook> {
  // There is no HTTP for others over a socket's path; neither is it far away.
  if (!/^https?:/.test(endpoint)) return nothing
  const [version, metrics] = await Promise.all([
    fetchText(`${endpoint}/version`, options).catch(() => undefined),
    fetchText(`${endpoint}/metrics`, options).catch(() => undefined),
  ])
  return {
    metrics: metrics?.status === 200 ? memberMetrics(metrics.body, new Date()) : undefined,
    tls: version?.tls,
    clock: version?.clock,
  }
}

interface Fetched extends Pick<HttpLook, 'tls' | 'clock'> {
  readonly status: number | undefined
  readonly body: string
}

function fetchText(url: string, { tls = {}, timeoutMs, signal }: LookOptions): Promise<Fetched> {
  const options: RequestOptions = {
    signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
    agent: false,
    ca: pemOf(tls.ca),
    cert: pemOf(tls.cert),
    key: pemOf(tls.key),
    passphrase: tls.passphrase,
    servername: tls.servername,
    // A certificate that has ended, or is for somebody else, is what is looked for; no secret is sent.
    rejectUnauthorized: false,
  }
  const sentAt = Date.now()
  return new Promise((resolve, reject) => {
    const onResponse = (response: IncomingMessage): void => {
      const clock = clockOf(response.headers.date, sentAt, Date.now())
      const certificate = response.socket instanceof TLSSocket ? certificateOf(response.socket) : undefined
      textOf(response).then((body) => resolve({ status: response.statusCode, body, clock, tls: certificate }), reject)
    }
    const request = url.startsWith('https:') ? httpsGet(url, options, onResponse) : httpGet(url, options, onResponse)
    request.on('error', reject)
  })
}

async function textOf(response: IncomingMessage): Promise<string> {
  response.setEncoding('utf8')
  let text = ''
  for await (const piece of response) text += piece
  return text
}

/** HTTP dates are cut to whole seconds, and are made somewhere on the way there and back. */
function clockOf(date: string | undefined, sentAt: number, receivedAt: number): MemberReport['clock'] {
  const there = Date.parse(date ?? '')
  if (Number.isNaN(there)) return undefined
  return {
    aheadMs: there + 500 - (sentAt + receivedAt) / 2,
    uncertaintyMs: 500 + (receivedAt - sentAt) / 2,
  }
}

function certificateOf(socket: TLSSocket): MemberReport['tls'] {
  const { valid_to: end, subject } = socket.getPeerCertificate()
  if (end === undefined) return undefined
  return { subject: String(subject?.CN ?? subject?.O ?? 'without a name'), expiresAt: new Date(end) }
}

function pemOf(value: TlsOptions['ca']): string | Buffer | undefined {
  if (value === undefined) return undefined
  if (typeof value !== 'string') return Buffer.from(value)
  return value.includes('-----BEGIN') ? value : readFileSync(value)
}
