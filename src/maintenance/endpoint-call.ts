import { InvalidArgumentError } from '../core/errors.js'
import { assertKnownOptions } from '../core/validate.js'
import type { Method } from '../protobuf/methods.js'
import { type ServerStreamOptions, serverStream } from '../streams/server-stream.js'
import type { StreamSource } from '../streams/stream-source.js'
import { callOptionNames, checkCall } from '../transport/call-options.js'
import { type EndpointDirectory, pinnedTo } from '../transport/connection/endpoint-directory.js'
import { type CallOptions, callContext, type Route, type Transport } from '../transport/transport.js'

/** Options of calls that are about one member. */
export interface EndpointOptions extends CallOptions {
  /** The member to ask: one of the client's endpoints, such as `http://10.0.0.1:2379` or `10.0.0.1:2379`. */
  readonly endpoint: string
}

/** What came of asking one member, where all were asked. */
export type EndpointResult<T> =
  | { readonly endpoint: string; readonly ok: true; readonly value: T }
  /** `error` is an `EtcdError`. */
  | { readonly endpoint: string; readonly ok: false; readonly error: unknown }

/** Makes calls of the Maintenance service, on any member or on a given one. */
export class EndpointCalls {
  readonly #transport: Transport
  readonly #directory: EndpointDirectory

  constructor(transport: Transport, directory: EndpointDirectory) {
    this.#transport = transport
    this.#directory = directory
  }

  /** Asks any healthy member. */
  any<Request, Response>(
    method: Method<Request, Response>,
    request: Request,
    options: CallOptions | undefined,
  ): Promise<Response> {
    return this.#transport.unary(method, request, callContext(options, { repeatable: method.repeatable }))
  }

  /** Asks the member at `options.endpoint`; `read` makes the result of its answer. */
  async one<Request, Response, Result>(
    method: Method<Request, Response>,
    request: Request,
    options: EndpointOptions,
    read: (response: Response, endpoint: string) => Result,
  ): Promise<Result> {
    const route = await this.#directory.routeTo(options.endpoint, options)
    return this.#ask(method, request, options, route, read)
  }

  /** Asks every member at once. Rejects only where the endpoints themselves are not known. */
  async each<Request, Response, Result>(
    method: Method<Request, Response>,
    request: Request,
    options: CallOptions | undefined,
    read: (response: Response, endpoint: string) => Result,
  ): Promise<readonly EndpointResult<Result>[]> {
    const urls = await this.#directory.urls(options)
    return Promise.all(
      urls.map(async (endpoint): Promise<EndpointResult<Result>> => {
        try {
          return { endpoint, ok: true, value: await this.#ask(method, request, options, pinnedTo(endpoint), read) }
        } catch (error) {
          options?.signal?.throwIfAborted()
          return { endpoint, ok: false, error }
        }
      }),
    )
  }

  /** The answers of a stream of the member at `endpoint`, or of any. */
  async *stream<Request, Response>(
    streams: StreamSource,
    method: Method<Request, Response>,
    request: Request,
    { signal, endpoint }: ServerStreamOptions,
  ): AsyncGenerator<Response, void, undefined> {
    const route = endpoint === undefined ? undefined : await this.#directory.routeTo(endpoint, { signal })
    yield* serverStream(streams, method, request, { signal, endpoint: route?.endpoint })
  }

  async #ask<Request, Response, Result>(
    method: Method<Request, Response>,
    request: Request,
    options: CallOptions | undefined,
    route: Route,
    read: (response: Response, endpoint: string) => Result,
  ): Promise<Result> {
    const context = callContext(options, { repeatable: method.repeatable, route })
    return read(await this.#transport.unary(method, request, context), route.endpoint ?? '')
  }
}

/** Checks what calls about one member take; there are none without options. */
export function checkEndpointCall(owner: string, options: EndpointOptions, names: readonly string[] = []): void {
  if (options === undefined) throw new InvalidArgumentError(`${owner} takes { endpoint }, the member to ask`)
  assertKnownOptions(owner, options, [...callOptionNames, 'endpoint', ...names])
  checkCall(owner, options, [...callOptionNames, 'endpoint', ...names])
}
