import { once } from 'node:events'
import {
  constants,
  createServer,
  type Http2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
  type Settings,
} from 'node:http2'
import type { AddressInfo } from 'node:net'

/** A call that reached a fake server, with its message complete. */
export interface ServedCall {
  readonly stream: ServerHttp2Stream
  readonly headers: IncomingHttpHeaders
  /** Without gRPC's prefix. */
  readonly message: Buffer
  /** The code of the reset that ended it, once that has come. */
  readonly reset: Promise<number>
  /** Answers with a message and OK. */
  reply(message: Buffer | string): void
  /** Answers with bytes as they are, and these trailers. */
  replyRaw(bytes: readonly Buffer[], trailers?: Record<string, string>): void
  /** Answers with nothing but headers. */
  replyHeaders(headers: Record<string, string | number>): void
}

/** HTTP/2 and gRPC's framing on a loopback port or a socket file, for answers that no etcd gives on demand. */
export class GrpcServer implements AsyncDisposable {
  readonly calls: ServedCall[] = []
  readonly sessions = new Set<ServerHttp2Session>()
  /** Connections that were made so far. */
  accepted = 0
  readonly #server: Http2Server
  readonly #address: { readonly path: string } | { readonly port: number }

  private constructor(server: Http2Server, path: string | undefined, port: number) {
    this.#server = server
    this.#address = path === undefined ? { port } : { path }
  }

  /** Serves calls with `serve`, each when its message is complete. */
  static async start(
    serve: (call: ServedCall, index: number) => void,
    options: { readonly settings?: Settings; readonly path?: string; readonly port?: number } = {},
  ): Promise<GrpcServer> {
    const server = createServer({ settings: options.settings ?? {} })
    if (options.path === undefined) server.listen(options.port ?? 0, '127.0.0.1')
    else server.listen(options.path)
    await once(server, 'listening')
    const address = server.address()
    const fake = new GrpcServer(server, options.path, (address as AddressInfo).port)
    server.on('session', (session) => {
      fake.accepted += 1
      fake.sessions.add(session)
      session.on('close', () => fake.sessions.delete(session))
      session.on('error', () => {})
    })
    server.on('stream', (stream, headers) => {
      const chunks: Buffer[] = []
      const reset = new Promise<number>((resolve) => stream.on('close', () => resolve(stream.rstCode)))
      stream.on('error', () => {})
      stream.on('data', (chunk: Buffer) => chunks.push(chunk))
      stream.on('end', () => {
        const call = served(stream, headers, Buffer.concat(chunks).subarray(5), reset)
        fake.calls.push(call)
        serve(call, fake.calls.length - 1)
      })
    })
    return fake
  }

  get port(): number {
    return 'port' in this.#address ? this.#address.port : 0
  }

  /** As the client takes it. */
  get endpoint(): string {
    return 'port' in this.#address ? `http://127.0.0.1:${this.#address.port}` : `unix:${this.#address.path}`
  }

  /** Asks all clients to leave, as a server does that shuts down in order, and takes no new connections. */
  shutDown(): void {
    for (const session of this.sessions) session.goaway(constants.NGHTTP2_NO_ERROR, 2 ** 31 - 1)
    this.#server.close()
  }

  /** Breaks every connection. */
  cut(): void {
    for (const session of this.sessions) session.destroy()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.cut()
    if (!this.#server.listening) return
    this.#server.close()
    await once(this.#server, 'close')
  }
}

/** A message with gRPC's prefix. */
export function framed(message: Buffer | string, flag = 0): Buffer {
  const body = Buffer.from(message as string)
  const prefix = Buffer.alloc(5)
  prefix[0] = flag
  prefix.writeUInt32BE(body.length, 1)
  return Buffer.concat([prefix, body])
}

const grpcHeaders = { [constants.HTTP2_HEADER_STATUS]: 200, 'content-type': 'application/grpc' }

function served(
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  message: Buffer,
  reset: Promise<number>,
): ServedCall {
  const replyRaw: ServedCall['replyRaw'] = (bytes, trailers = { 'grpc-status': '0' }) => {
    if (stream.destroyed || stream.closed) return
    stream.respond(grpcHeaders, { waitForTrailers: true })
    stream.on('wantTrailers', () => stream.sendTrailers(trailers))
    for (const chunk of bytes) stream.write(chunk)
    stream.end()
  }
  return {
    stream,
    headers,
    message,
    reset,
    replyRaw,
    reply: (answer) => replyRaw([framed(answer)]),
    replyHeaders: (only) => stream.respond({ ...grpcHeaders, ...only }, { endStream: true }),
  }
}
