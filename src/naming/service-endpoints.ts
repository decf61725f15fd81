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
import { type EndpointListener, Follower } from './follower.js'
import { Latest } from './latest.js'

/** Where endpoints are kept: a client, or a namespace of one. */
export interface NamingStore {
  txn(): Txn
  list(range: KeyRange, options: CallOptions): AsyncIterable<KeyValue>
  informer<T>(range: KeyRange, options: { readonly codec: Codec<T> }): Informer<T>
  register(key: Bytes, value: Bytes, options: RegisterOptions): Promise<Registration>
}

/** Options of `add()`. */
export interface AddEndpointOptions extends CallOptions {
  /** The lease that the endpoint ends with. Without one it stays until it is deleted: see `register()`. */
  readonly lease?: string | undefined
}

/** One change of `update()`. */
export type EndpointUpdate =
  | { readonly op: 'add'; readonly endpoint: NewEndpoint; readonly lease?: string | undefined }
  | { readonly op: 'delete'; readonly name: string }

/** The addresses at which a service is served, as keys under `<target>/`. */
export class ServiceEndpoints {
  /** The service, without a slash at the end. */
  readonly target: string
  readonly #store: NamingStore

  /**
   * The endpoints of the service `target`, in the format of etcd's Go module `client/v3/naming/endpoints`: services in
   * Go and here find each other. Sends nothing yet.
   */
  constructor(store: NamingStore, target: string) {
    if (typeof target !== 'string' || target === '' || target.endsWith('/')) {
      throw new InvalidArgumentError(`\`target\` must be a name without a slash at its end, got ${describe(target)}`)
    }
    this.#store = store
    this.target = target
  }

  /**
   * Adds an endpoint, and keeps it there as long as this process is: on a lease that is kept alive, and put back when it
   * was deleted or the lease was lost. `close()` of what it resolves to takes it away.
   */
  async register(endpoint: NewEndpoint, options: RegisterOptions = {}): Promise<Registration> {
    const { name, ...record } = checkEndpoint(endpoint)
    return this.#store.register(this.#keyOf(name), endpointCodec.encode(record), options)
  }

  /** Adds an endpoint, or gives the one of its name another address. */
  async add(endpoint: NewEndpoint, options: AddEndpointOptions = {}): Promise<void> {
    checkCall('add()', options, [...callOptionNames, 'lease'])
    const { lease, ...callOptions } = options
    await this.update([{ op: 'add', endpoint, lease }], callOptions)
  }

  /** Deletes an endpoint, if it is there. */
  async delete(name: string, options?: CallOptions): Promise<void> {
    await this.update([{ op: 'delete', name }], options)
  }

  /** Makes several changes at once, in one transaction. */
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

  /** All endpoints, in the order of their names. Those whose record cannot be read are left out. */
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
   * All endpoints, now and after each change; who is slow is given the latest. It goes on over lost connections and
   * compacted history, until the iteration is left, throws the reason of `signal`, or fails for good
   * (`PERMISSION_DENIED`, `CLOSED`).
   */
  async *watch({
    signal,
  }: {
    readonly signal?: AbortSignal | undefined
  } = {}): AsyncGenerator<readonly ServiceEndpoint[], void, undefined> {
    optionalSignal('signal', signal)
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

  /** Tells `listener` of all endpoints, now and after each change, until what it returns is closed. */
  subscribe(listener: EndpointListener): { close(): Promise<void> } {
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
