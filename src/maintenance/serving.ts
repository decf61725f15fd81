import { InvalidArgumentError } from '../core/errors.js'
import { assertKnownOptions, describe, optionalSignal, wellFormed } from '../core/validate.js'
import type { ServingStatus } from '../protobuf/generated/messages.js'
import { methods } from '../protobuf/methods.js'
import type { StreamSource } from '../streams/stream-source.js'
import { checkEndpointCall, type EndpointCalls, type EndpointOptions } from './endpoint-call.js'

export type { ServingStatus } from '../protobuf/generated/messages.js'

/** Options of `serving.check()`. */
export interface ServingOptions extends EndpointOptions {
  /** The gRPC service to check. etcd only knows the empty name, which stands for the whole server. @default '' */
  readonly service?: string | undefined
}

/** Options of `serving.watch()`. */
export interface ServingWatchOptions extends Omit<ServingOptions, 'timeoutMs'> {}

/**
 * gRPC's standard health service of one member. `SERVING` means that the process is up, not that it has a quorum: use
 * `etcd.health()` for that. `NOT_SERVING` occurs only while a member defragments that runs with
 * `--experimental-stop-grpc-service-on-defrag` or the corresponding feature gate.
 */
export class Serving {
  readonly #calls: EndpointCalls
  readonly #streams: StreamSource

  constructor(calls: EndpointCalls, streams: StreamSource) {
    this.#calls = calls
    this.#streams = streams
  }

  /**
   * Returns the current status.
   *
   * @throws `UNKNOWN`, with `grpcCode` 5, if the member has no such service.
   */
  async check(options: ServingOptions): Promise<ServingStatus> {
    checkEndpointCall('serving.check()', options, ['service'])
    const request = { service: serviceOf(options) }
    return this.#calls.one(methods.Health.Check, request, options, ({ status }) => status)
  }

  /**
   * Returns the status of each service of a member, by name.
   *
   * @throws `UNIMPLEMENTED` if the member's gRPC library predates the call.
   */
  async list(options: EndpointOptions): Promise<Readonly<Record<string, ServingStatus>>> {
    checkEndpointCall('serving.list()', options)
    return this.#calls.one(methods.Health.List, {}, options, ({ statuses }) =>
      Object.fromEntries(Object.entries(statuses).map(([service, { status }]) => [service, status])),
    )
  }

  /**
   * Yields the current status and each change.
   *
   * @throws The error that ended the stream, for example when the member stops; call it again to continue.
   */
  async *watch(options: ServingWatchOptions): AsyncGenerator<ServingStatus, void, undefined> {
    assertKnownOptions('serving.watch()', options, ['endpoint', 'service', 'signal'])
    const signal = optionalSignal('signal', options.signal)
    const request = { service: serviceOf(options) }
    const { endpoint } = options
    // Without an endpoint, any member would answer, which is not what the caller asked for.
    if (endpoint === undefined) checkEndpointCall('serving.watch()', options)
    for await (const { status } of this.#calls.stream(this.#streams, methods.Health.Watch, request, {
      signal,
      endpoint,
    })) {
      yield status
    }
  }
}

function serviceOf({ service = '' }: { readonly service?: string | undefined }): string {
  if (typeof service === 'string') return wellFormed('service', service)
  throw new InvalidArgumentError(`\`service\` must be the name of a gRPC service, got ${describe(service)}`)
}
