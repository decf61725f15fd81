import { InvalidArgumentError } from './core/errors.js'
import type { Bytes } from './core/key-range.js'
import { keyBytes } from './core/validate.js'
import { Kv, type KvLimits } from './kv/kv.js'
import { namespaceLayer } from './namespace/namespace-layer.js'
import type { Transport } from './transport/transport.js'

/** Everything that works on keys: all keys of the cluster, or those of a namespace. */
export class Keyspace extends Kv {
  readonly #transport: Transport
  readonly #limits: KvLimits

  constructor(transport: Transport, limits: KvLimits) {
    super(transport, limits)
    this.#transport = transport
    this.#limits = limits
  }

  /**
   * The same interface over the keys that start with `prefix`, which is added to every key on the way in and taken off on
   * the way out. No key and no range leads outside of it. Namespaces nest, and live as long as their client.
   */
  namespace(prefix: Bytes): Keyspace {
    const bytes = keyBytes('prefix', prefix)
    if (bytes.length === 0) throw new InvalidArgumentError('`prefix` of a namespace must have at least one byte')
    return new Keyspace(namespaceLayer(bytes)(this.#transport), this.#limits)
  }
}
