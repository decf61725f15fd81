import { InvalidArgumentError } from '../core/errors.js'
import { assertKnownOptions, describe } from '../core/validate.js'
import type { ServiceEndpoint } from './endpoint-record.js'
import { type GrpcListener, grpcEndpoints, tellEndpoints, tellFailure } from './grpc-listener.js'
import { type NamingStore, ServiceEndpoints } from './service-endpoints.js'

/** The part of `@grpc/grpc-js` that takes resolvers: `import * as grpc from '@grpc/grpc-js'`, 1.10 or later. */
export interface GrpcLibrary {
  readonly Metadata: new () => object
  readonly experimental: {
    registerResolver(scheme: string, resolver: GrpcResolverClass): void
  }
}

/** What grpc-js makes for each channel of the scheme. */
export interface GrpcResolverClass {
  // The listener differs between releases of grpc-js; which one came is found out when it is called.
  new (target: { readonly path: string }, listener: object): { updateResolution(): void; destroy(): void }
  getDefaultAuthority(target: { readonly path: string }): string
}

/** Options of `registerResolver()`. */
export interface ResolverOptions {
  /** The scheme of the targets: `etcd` is for `etcd:///service`. @default 'etcd' */
  readonly scheme?: string | undefined
}

/**
 * Lets the channels of `grpc` find services in etcd: `etcd:///service` is reached at the endpoints of the service, and
 * follows them. Endpoints that were known stay in use while etcd cannot be reached. Registering a scheme again takes
 * the place of what it was registered with, for channels made from then on; each channel has one watch of its own,
 * which ends with the channel or the client.
 *
 * grpc-js calls the first endpoint only, unless it is told otherwise: `'grpc.service_config': JSON.stringify({
 * loadBalancingConfig: [{ round_robin: {} }] })`.
 */
export function registerResolver(grpc: GrpcLibrary, store: NamingStore, options: ResolverOptions = {}): void {
  assertKnownOptions('registerResolver()', options, ['scheme'])
  const scheme = options.scheme ?? 'etcd'
  if (typeof scheme !== 'string' || !/^[a-z][a-z0-9+.-]*$/i.test(scheme)) {
    throw new InvalidArgumentError(`\`scheme\` must be one of a URI, such as etcd, got ${describe(scheme)}`)
  }
  if (typeof grpc?.experimental?.registerResolver !== 'function') {
    throw new InvalidArgumentError(`\`grpc\` must be the module @grpc/grpc-js, got ${describe(grpc)}`)
  }
  grpc.experimental.registerResolver(scheme, resolverOf(grpc, store))
}

function resolverOf({ Metadata }: GrpcLibrary, store: NamingStore): GrpcResolverClass {
  return class EtcdResolver extends Resolver {
    constructor(target: { readonly path: string }, listener: object) {
      super(new ServiceEndpoints(store, serviceOf(target)), listener as GrpcListener, () => new Metadata())
    }

    static getDefaultAuthority(target: { readonly path: string }): string {
      return authorityOf(serviceOf(target))
    }
  }
}

/** `service` of `etcd:///service`, also where it is written `etcd:service`. */
function serviceOf({ path }: { readonly path: string }): string {
  return path.replace(/^\//, '')
}

/**
 * The last part of a service's name, as a host: what grpc-js sends as `:authority`, verifies certificates for, and
 * makes a URL of. The channel options `grpc.default_authority` and `grpc.ssl_target_name_override` say otherwise.
 */
function authorityOf(service: string): string {
  const host = service.slice(service.lastIndexOf('/') + 1).replaceAll(/[^\w.-]/g, '-')
  return host === '' ? 'etcd' : host
}

/** Follows one service for one channel. grpc-js begins it, ends it when the channel is idle, and may begin it again. */
class Resolver {
  readonly #service: ServiceEndpoints
  readonly #listener: GrpcListener
  readonly #metadata: () => object
  #follower: { close(): Promise<void> } | undefined
  #isKnown = false

  constructor(service: ServiceEndpoints, listener: GrpcListener, metadata: () => object) {
    this.#service = service
    this.#listener = listener
    this.#metadata = metadata
  }

  updateResolution(): void {
    this.#follower ??= this.#service.subscribe({
      onEndpoints: (endpoints) => this.#resolved(endpoints),
      onError: (error, terminal) => {
        // What is known is better than nothing, which is what a failure leaves.
        if (!this.#isKnown || terminal) this.#fail(error instanceof Error ? error.message : String(error))
      },
    })
  }

  destroy(): void {
    void this.#follower?.close()
    this.#follower = undefined
    this.#isKnown = false
  }

  #resolved(services: readonly ServiceEndpoint[]): void {
    const endpoints = grpcEndpoints(services.map(({ address }) => address))
    this.#isKnown = true
    tellEndpoints(this.#listener, endpoints)
    // Told of no endpoints alone, grpc-js 1.14 lets calls wait until their deadline.
    if (endpoints.length === 0) this.#fail(`the service ${this.#service.target} has no endpoints`)
  }

  #fail(details: string): void {
    tellFailure(this.#listener, `etcd: ${details}`, this.#metadata())
  }
}
