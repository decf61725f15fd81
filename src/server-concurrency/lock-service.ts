import type { Bytes } from '../core/key-range.js'
import { hexId } from '../core/validate.js'
import { methods } from '../protobuf/methods.js'
import { checkCall } from '../transport/call-options.js'
import { type CallOptions, callContext, type Transport } from '../transport/transport.js'
import { NameSpace } from './name-space.js'

/** A lock acquired by the server. */
export interface ServiceLock {
  /** The key exists as long as the lock is held: compare it in transactions. */
  readonly key: Buffer
  /** The revision of the response. */
  readonly revision: number
}

/**
 * The Lock service of the members (`v3lock`), where the server queues on behalf of the client. It uses the same keys as
 * `lock()`, so both exclude each other, but provides no signal and no fence, and a caller that loses the response does
 * not know whether it holds the lock. Intended for programs that depend on this service, and for their tests; otherwise
 * use `lock()`.
 */
export class LockService {
  readonly #transport: Transport
  readonly #names: NameSpace

  /** @internal Created by the client. */
  constructor(transport: Transport, prefix: Buffer) {
    this.#transport = transport
    this.#names = new NameSpace(prefix)
  }

  /**
   * Waits until the lock is held, as long as the lease lives. Repeated calls with the same lease hold the lock once. A
   * call that ends early has an unknown effect: revoke the lease.
   *
   * @param lease The ID of the lease that the lock depends on.
   * @param options `timeoutMs` is 10 s by default, as for any call; `Infinity` disables it.
   */
  async lock(name: Bytes, lease: string, options?: CallOptions): Promise<ServiceLock> {
    checkCall('lockService.lock()', options)
    const request = { name: this.#names.into('name', name), lease: hexId('lease', lease) }
    const { key, header } = await this.#transport.unary(methods.Lock.Lock, request, callContext(options, {}))
    return { key: this.#names.outOf(key), revision: header?.revision ?? 0 }
  }

  /** Deletes the key that `lock()` returned, even if another client holds it by now. */
  async unlock(key: Bytes, options?: CallOptions): Promise<void> {
    checkCall('lockService.unlock()', options)
    const request = { key: this.#names.into('key', key) }
    await this.#transport.unary(methods.Lock.Unlock, request, callContext(options, {}))
  }
}
