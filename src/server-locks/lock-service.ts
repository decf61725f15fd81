import type { Bytes } from '../core/key-range.js'
import { hexId } from '../core/validate.js'
import { methods } from '../protobuf/methods.js'
import { checkCall } from '../transport/call-options.js'
import { type CallOptions, callContext, type Transport } from '../transport/transport.js'
import { NameSpace } from './name-space.js'

/** A lock that the server has queued for. */
export interface ServiceLock {
  /** Exists as long as the lock is held: compare it in transactions. */
  readonly key: Buffer
  /** The revision of the answer. */
  readonly revision: number
}

/**
 * The Lock service of the members (`v3lock`), where the server queues for a lock. It uses the same keys as `lock()`, so that
 * both exclude each other, and gives less: no signal, no fence, and a caller whose answer is lost does not know whether it
 * holds the lock. Made for programs that keep to the service, and for tests of those; use `lock()` otherwise.
 */
export class LockService {
  readonly #transport: Transport
  readonly #names: NameSpace

  /** Made by the client. */
  constructor(transport: Transport, prefix: Buffer) {
    this.#transport = transport
    this.#names = new NameSpace(prefix)
  }

  /**
   * Waits until the lock is held, for as long as the lease is there: a lease holds it once, however often it asks. A call
   * that ends early has an unknown effect: revoke the lease. `timeoutMs` is that of any call, 10 s; `Infinity` for none.
   */
  async lock(name: Bytes, lease: string, options?: CallOptions): Promise<ServiceLock> {
    checkCall('lockService.lock()', options)
    const request = { name: this.#names.into('name', name), lease: hexId('lease', lease) }
    const { key, header } = await this.#transport.unary(methods.Lock.Lock, request, callContext(options, {}))
    return { key: this.#names.outOf(key), revision: header?.revision ?? 0 }
  }

  /** Deletes the key that `lock()` resolved with, whoever has it by now. */
  async unlock(key: Bytes, options?: CallOptions): Promise<void> {
    checkCall('lockService.unlock()', options)
    const request = { key: this.#names.into('key', key) }
    await this.#transport.unary(methods.Lock.Unlock, request, callContext(options, {}))
  }
}
