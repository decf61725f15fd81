import { InvalidArgumentError } from '../core/errors.js'
import { messageOf } from '../core/thrown.js'
import { assertKnownOptions, describe } from '../core/validate.js'
import type { ServiceEndpoint } from './endpoint-record.js'
import { type GrpcListener, grpcEndpoints, reportEndpoints, reportFailure } from './grpc-listener.js'
import { type NamingStore, ServiceEndpoints } from './service-endpoints.js'

/** The part of `@grpc/grpc-js` (1.10 or later) that registers resolvers: `import * as grpc from '@grpc/grpc-js'`. */
export interface GrpcLibrary {
  readonly Metadata: new () => object
  readonly experimental: {
    /** Registers a resolver for a URI scheme. */
    registerResolver(scheme: string, resolver: GrpcResolverClass): void
  }
}

/** What grpc-js calls on the resolver of a channel. */
export interface GrpcResolver {
  /** Reports the endpoints again. */
  updateResolution(): void
  /** Ends the watch of the endpoints. */
  destroy(): void
}

/** The class that grpc-js instantiates for each channel of the scheme. */
export interface GrpcResolverClass {
  // The type of the listener differs between grpc-js releases; it is determined at run time.
  new (target: { readonly path: string }, listener: object): GrpcResolver
  /** The host name that a channel to this target sends by default. */
  getDefaultAuthority(target: { readonly path: string }): string
}

/** Options of `registerResolver()`. */
export interface ResolverOptions {
  /** The URI scheme of the targets: `etcd` for `etcd:///service`. @default 'etcd' */
  readonly scheme?: string | undefined
}

/**
 * Registers a resolver, so that channels of `grpc` can connect to `etcd:///service`. A channel follows the endpoints of
 * the service, and keeps using the last known ones while etcd is unreachable. Each channel has one watch, which ends
 * with the channel or the client. Registering a scheme again replaces the resolver for channels created later.
 *
 * By default grpc-js uses only the first endpoint. For round robin, set the channel option `'grpc.service_config':
 * JSON.stringify({ loadBalancingConfig: [{ round_robin: {} }] })`.
 *
 * @param grpc Your instance of grpc-js: each installed copy has its own registry.
 * @param store A client, or a namespace of one.
 */
export function registerResolver(grpc: GrpcLibrary, store: NamingStore, options: ResolverOptions = {}): void {
  assertKnownOptions('registerResolver()', options, ['scheme'])
  const scheme = options.scheme ?? 'etcd'
  if (typeof scheme !== 'string' || !/^[a-z][a-z0-9+.-]*$/i.test(scheme)) {
    throw new InvalidArgumentError(`\`scheme\` must be a URI scheme such as etcd, got ${describe(scheme)}`)
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

/** Extracts `service` from `etcd:///service` or `etcd:service`. */
function serviceOf({ path }: { readonly path: string }): string {
  return path.replace(/^\//, '')
}

/**
 * The last segment of a service's name as a host name: the default for `:authority` and for certificate verification.
 * The channel options `grpc.default_authority` and `grpc.ssl_target_name_override` override it.
 */
function authorityOf(service: string): string {
  const host = service.slice(service.lastIndexOf('/') + 1).replaceAll(/[^\w.-]/g, '-')
  return host === '' ? 'etcd' : host
}

/**
 * Follows one service for one channel. grpc-js starts it, destroys it when the channel is idle, and may start it again.
 */
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
        // A failure would make grpc-js drop the known endpoints, which are better than none.
        if (!this.#isKnown || terminal) this.#fail(messageOf(error))
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
    reportEndpoints(this.#listener, endpoints)
    // If grpc-js 1.14 receives only an empty list, calls wait until their deadline.
    if (endpoints.length === 0) this.#fail(`the service ${this.#service.target} has no endpoints`)
  }

  #fail(details: string): void {
    reportFailure(this.#listener, `etcd: ${details}`, this.#metadata())
  }
}
