import { InvalidArgumentError } from '../core/errors.js'
import { assertKnownOptions } from '../core/validate.js'
import type { Method } from '../protobuf/methods.js'
import { type ServerStreamOptions, serverStream } from '../streams/server-stream.js'
import type { StreamSource } from '../streams/stream-source.js'
import { callOptionNames, checkCall } from '../transport/call-options.js'
import { type EndpointDirectory, pinnedTo } from '../transport/connection/endpoint-directory.js'
import { type CallOptions, callContext, type Route, type Transport } from '../transport/transport.js'

/** Options of calls to one member. */
export interface EndpointOptions extends CallOptions {
  /** The member to call: one of the client's endpoints, such as `http://10.0.0.1:2379` or `10.0.0.1:2379`. */
  readonly endpoint: string
}

/** The outcome for one member of a call to all members. */
export type EndpointResult<T> =
  | { readonly endpoint: string; readonly ok: true; readonly value: T }
  /** `error` is an `EtcdError`. */
  | { readonly endpoint: string; readonly ok: false; readonly error: unknown }

/** Makes calls of the Maintenance service to a given member or to any. */
export class EndpointCalls {
  readonly #transport: Transport
  readonly #directory: EndpointDirectory

  constructor(transport: Transport, directory: EndpointDirectory) {
    this.#transport = transport
    this.#directory = directory
  }

  /** Calls any healthy member. */
  any<Request, Response>(
    method: Method<Request, Response>,
    request: Request,
    options: CallOptions | undefined,
  ): Promise<Response> {
    return this.#transport.unary(method, request, callContext(options, { repeatable: method.repeatable }))
  }

  /** Calls the member at `options.endpoint`; `read` converts its response. */
  async one<Request, Response, Result>(
    method: Method<Request, Response>,
    request: Request,
    options: EndpointOptions,
    read: (response: Response, endpoint: string) => Result,
  ): Promise<Result> {
    const route = await this.#directory.routeTo(options.endpoint, options)
    return this.#ask(method, request, options, route, read)
  }

  /** Calls all members concurrently. Rejects only if the endpoints cannot be determined. */
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

  /** The responses of a stream from the member at `endpoint`, or from any. */
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

/** Validates the options of a call to one member, which are required. */
export function checkEndpointCall(owner: string, options: EndpointOptions, names: readonly string[] = []): void {
  if (options === undefined) throw new InvalidArgumentError(`${owner} requires { endpoint }, the member to call`)
  assertKnownOptions(owner, options, [...callOptionNames, 'endpoint', ...names])
  checkCall(owner, options, [...callOptionNames, 'endpoint', ...names])
}
