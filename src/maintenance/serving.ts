import { InvalidArgumentError } from '../core/errors.js'
import { assertKnownOptions, describe, optionalSignal } from '../core/validate.js'
import type { ServingStatus } from '../protobuf/generated/messages.js'
import { methods } from '../protobuf/methods.js'
import type { StreamSource } from '../streams/stream-source.js'
import { checkEndpointCall, type EndpointCalls, type EndpointOptions } from './endpoint-call.js'

export type { ServingStatus } from '../protobuf/generated/messages.js'

/** Options of `serving.check()`. */
export interface ServingOptions extends EndpointOptions {
  /** The gRPC service to ask for. etcd knows none but the empty name, the server as a whole. @default '' */
  readonly service?: string | undefined
}

/** Options of `serving.watch()`. */
export interface ServingWatchOptions extends Omit<ServingOptions, 'timeoutMs'> {}

/**
 * gRPC's own health service, of one member. `SERVING` says that the process is up, not that it has a majority: for that,
 * use `etcd.health()`. `NOT_SERVING` comes only while a member that runs with `--experimental-stop-grpc-service-on-defrag`,
 * or that feature gate, defragments.
 */
export class Serving {
  readonly #calls: EndpointCalls
  readonly #streams: StreamSource

  constructor(calls: EndpointCalls, streams: StreamSource) {
    this.#calls = calls
    this.#streams = streams
  }

  /** Whether a member serves now. `UNKNOWN`, with gRPC's code 5, for a service that it has not got. */
  async check(options: ServingOptions): Promise<ServingStatus> {
    checkEndpointCall('serving.check()', options, ['service'])
    const request = { service: serviceOf(options) }
    return this.#calls.one(methods.Health.Check, request, options, ({ status }) => status)
  }

  /** The state of each service of a member, by name. `UNIMPLEMENTED` where the member's gRPC is older than the call. */
  async list(options: EndpointOptions): Promise<Readonly<Record<string, ServingStatus>>> {
    checkEndpointCall('serving.list()', options)
    return this.#calls.one(methods.Health.List, {}, options, ({ statuses }) =>
      Object.fromEntries(Object.entries(statuses).map(([service, { status }]) => [service, status])),
    )
  }

  /** Whether a member serves, now and after each change. Throws when the member is gone: begin again. */
  async *watch(options: ServingWatchOptions): AsyncGenerator<ServingStatus, void, undefined> {
    assertKnownOptions('serving.watch()', options, ['endpoint', 'service', 'signal'])
    const signal = optionalSignal('signal', options.signal)
    const request = { service: serviceOf(options) }
    const { endpoint } = options
    // Without one, any member would do, which is not what was asked for.
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
  if (typeof service === 'string') return service
  throw new InvalidArgumentError(`\`service\` must be the name of a gRPC service, got ${describe(service)}`)
}
