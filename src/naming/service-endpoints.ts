import type { Codec } from '../core/codec.js'
import { InvalidArgumentError } from '../core/errors.js'
import type { Bytes, KeyRange } from '../core/key-range.js'
import type { KeyValue } from '../core/key-value.js'
import { assertKnownOptions, describe, oneOf, optionalSignal } from '../core/validate.js'
import type { Informer } from '../informer/informer.js'
import { deleteKey, type Operation, put } from '../kv/operation.js'
import type { Txn } from '../kv/txn.js'
import type { RegisterOptions, Registration } from '../lease/registration.js'
import { callOptionNames, checkCall } from '../transport/call-options.js'
import type { CallOptions } from '../transport/transport.js'
import { checkEndpoint, checkName, endpointCodec, type NewEndpoint, type ServiceEndpoint } from './endpoint-record.js'
import { checkEndpointListener, type EndpointListener, Follower } from './follower.js'
import { Latest } from './latest.js'

/** Where endpoints are stored: a client, or a namespace of one. */
export interface NamingStore {
  /** Starts a transaction. */
  txn(): Txn
  /** Lists the keys of a range. */
  list(range: KeyRange, options: CallOptions): AsyncIterable<KeyValue>
  /** Starts a copy of a range that follows the cluster. */
  informer<T>(range: KeyRange, options: { readonly codec: Codec<T> }): Informer<T>
  /** Creates a key that exists as long as its registration. */
  register(key: Bytes, value: Bytes, options: RegisterOptions): Promise<Registration>
}

/** A subscription to the endpoints of a service. */
export interface EndpointSubscription {
  /** Ends the subscription and its watch. */
  close(): Promise<void>
}

/** Options of `add()`. */
export interface AddEndpointOptions extends CallOptions {
  /** The lease of the endpoint. Without one the endpoint stays until it is deleted: see `register()`. */
  readonly lease?: string | undefined
}

/** One change of `update()`. */
export type EndpointUpdate =
  | { readonly op: 'add'; readonly endpoint: NewEndpoint; readonly lease?: string | undefined }
  | { readonly op: 'delete'; readonly name: string }

/**
 * The endpoints of a service, stored as keys under `<target>/`.
 *
 * @example
 * ```ts
 * const greeter = new ServiceEndpoints(etcd, 'services/greeter')
 * await using registration = await greeter.register({ address: '10.1.0.7:8080' })
 * for await (const endpoints of greeter.watch()) console.log(endpoints)
 * ```
 */
export class ServiceEndpoints {
  /** The name of the service, without a trailing slash. */
  readonly target: string
  readonly #store: NamingStore

  /**
   * Creates the endpoint list of a service. Sends nothing. The format is that of etcd's Go module
   * `client/v3/naming/endpoints`, so services in Go and Node.js can discover each other.
   *
   * @param store A client, or a namespace of one.
   * @param target The name of the service, such as `services/greeter`.
   */
  constructor(store: NamingStore, target: string) {
    if (typeof store?.txn !== 'function') {
      throw new InvalidArgumentError(`\`store\` must be a client or a namespace, got ${describe(store)}`)
    }
    if (typeof target !== 'string' || target === '' || target.endsWith('/')) {
      throw new InvalidArgumentError(`\`target\` must be a name without a slash at its end, got ${describe(target)}`)
    }
    this.#store = store
    this.target = target
  }

  /**
   * Adds an endpoint for the lifetime of this process: attaches it to a lease that is kept alive, and restores it if it
   * is deleted or the lease is lost. Closing the registration removes it.
   */
  async register(endpoint: NewEndpoint, options: RegisterOptions = {}): Promise<Registration> {
    const { name, ...record } = checkEndpoint(endpoint)
    return this.#store.register(this.#keyOf(name), endpointCodec.encode(record), options)
  }

  /** Adds an endpoint, or replaces the one with the same name. */
  async add(endpoint: NewEndpoint, options: AddEndpointOptions = {}): Promise<void> {
    checkCall('add()', options, [...callOptionNames, 'lease'])
    const { lease, ...callOptions } = options
    await this.update([{ op: 'add', endpoint, lease }], callOptions)
  }

  /** Deletes an endpoint if it exists. */
  async delete(name: string, options?: CallOptions): Promise<void> {
    await this.update([{ op: 'delete', name }], options)
  }

  /** Applies several changes in one transaction. */
  async update(updates: readonly EndpointUpdate[], options?: CallOptions): Promise<void> {
    checkCall('update()', options)
    if (!Array.isArray(updates)) {
      throw new InvalidArgumentError(`\`updates\` must be an array, got ${describe(updates)}`)
    }
    const operations = updates.map((update: EndpointUpdate) => this.#operation(update))
    await this.#store
      .txn()
      .then(...operations)
      .commit(options)
  }

  /** Lists all endpoints in the order of their names. Omits records that cannot be decoded. */
  async list(options: CallOptions = {}): Promise<ServiceEndpoint[]> {
    checkCall('list()', options)
    const endpoints: ServiceEndpoint[] = []
    for await (const kv of this.#store.list({ prefix: this.#prefix }, options)) {
      const endpoint = this.#read(kv)
      if (endpoint !== undefined) endpoints.push(endpoint)
    }
    return endpoints
  }

  /**
   * Yields all endpoints, now and after each change; a slow consumer receives the latest list. Survives lost
   * connections and compaction.
   *
   * @throws The reason of `signal`, or a permanent error such as `PERMISSION_DENIED` or `CLOSED`.
   */
  async *watch(
    options: { readonly signal?: AbortSignal | undefined } = {},
  ): AsyncGenerator<readonly ServiceEndpoint[], void, undefined> {
    assertKnownOptions('watch()', options, ['signal'])
    const signal = optionalSignal('signal', options.signal)
    signal?.throwIfAborted()
    const latest = new Latest<readonly ServiceEndpoint[]>()
    const follower = this.subscribe({
      onEndpoints: (endpoints) => latest.set(endpoints),
      onError: (error, terminal) => {
        if (terminal) latest.fail(error)
      },
    })
    const onAbort = (): void => latest.fail(signal?.reason)
    signal?.addEventListener('abort', onAbort, { once: true })
    try {
      for (;;) yield await latest.take()
    } finally {
      signal?.removeEventListener('abort', onAbort)
      await follower.close()
    }
  }

  /**
   * Calls `listener` with all endpoints, now and after each change.
   *
   * @returns The subscription; close it to stop.
   */
  subscribe(listener: EndpointListener): EndpointSubscription {
    checkEndpointListener(listener)
    const informer = this.#store.informer({ prefix: this.#prefix }, { codec: endpointCodec })
    return new Follower(informer, this.#prefix, listener)
  }

  get #prefix(): string {
    return `${this.target}/`
  }

  #keyOf(name: string): string {
    return `${this.#prefix}${name}`
  }

  #operation(update: EndpointUpdate): Operation {
    assertKnownOptions('an update', update, ['op', 'endpoint', 'lease', 'name'])
    oneOf('op', update.op, ['add', 'delete'])
    if (update.op === 'delete') return deleteKey(this.#keyOf(checkName(update.name)))
    const { name, ...record } = checkEndpoint(update.endpoint)
    return put(this.#keyOf(name), endpointCodec.encode(record), { lease: update.lease })
  }

  #read(kv: KeyValue): ServiceEndpoint | undefined {
    try {
      return { name: kv.keyText.slice(this.#prefix.length), ...endpointCodec.decode(kv.value) }
    } catch {
      return undefined
    }
  }
}
