import { assertListener } from '../core/emitter.js'
import { EtcdError, isEtcdError } from '../core/errors.js'
import { type Bytes, printedKey } from '../core/key-range.js'
import { printAs } from '../core/printing.js'
import { messageOf } from '../core/thrown.js'
import type { CallOptions } from '../transport/transport.js'
import type { InvalidEntry } from './draft.js'
import type { Entry } from './entry.js'
import type { Informer } from './informer.js'
import type { InformerStats } from './informer-options.js'

/** Called with the current and the previous value; `undefined` stands for an absent key. */
export type ValueListener<T> = (value: T | undefined, old: T | undefined) => unknown

/** An in-memory copy of one key that follows the cluster. See `Informer`. */
export class ValueInformer<T> implements AsyncDisposable {
  static {
    printAs(this, (informer) => {
      const { current, revision } = informer
      return { key: printedKey(informer.#key), current, revision, state: informer.stats().state }
    })
  }
  readonly #informer: Informer<T>
  readonly #key: Bytes

  /** @internal Created by `value()`. */
  constructor(informer: Informer<T>, key: Bytes) {
    this.#informer = informer
    this.#key = key
  }

  /**
   * Waits until the key has been read for the first time, whether it exists or not.
   *
   * @returns The value; `undefined` if the key does not exist.
   * @throws `DECODE_FAILED` if the codec cannot decode the value and there is no earlier valid one. The key is still
   *   followed.
   */
  async ready(options?: CallOptions): Promise<T | undefined> {
    await this.#informer.ready(options)
    const { entry, invalid } = this
    if (entry === undefined && invalid !== undefined) throw unreadable(invalid)
    return entry?.value
  }

  /** The value; `undefined` before `ready()`, if the key does not exist, or if no value was decodable. */
  get current(): T | undefined {
    return this.#informer.get(this.#key)
  }

  /** The value with its metadata. */
  get entry(): Entry<T> | undefined {
    return this.#informer.entry(this.#key)
  }

  /** The current value, if the codec cannot decode it; `current` is then the last valid value. */
  get invalid(): InvalidEntry | undefined {
    return this.#informer.invalid()[0]
  }

  /** The revision that `current` shows. */
  get revision(): number {
    return this.#informer.revision
  }

  /** Counters and the state of the copy, for metrics. */
  stats(): InformerStats {
    return this.#informer.stats()
  }

  /**
   * Calls `listener` with the current value, and after each change.
   *
   * @returns A function that removes the listener.
   */
  onChange(listener: ValueListener<T>): () => void {
    assertListener(listener)
    return this.#informer.on('change', ({ value, old }) => listener(value, old?.value))
  }

  /**
   * Calls `listener` when the value could not be read or decoded; `current` keeps the last valid value.
   *
   * @returns A function that removes the listener.
   */
  onError(listener: (error: unknown) => void): () => void {
    assertListener(listener)
    const ends = [
      this.#informer.on('error', ({ error }) => listener(error)),
      this.#informer.on('invalid', ({ error }) => listener(error)),
      this.#informer.on('handlerError', ({ error }) => listener(error)),
    ]
    return () => {
      for (const end of ends) end()
    }
  }

  /**
   * Waits until `current` shows `revision` or a later one.
   *
   * @throws `DEADLINE_EXCEEDED` after `timeoutMs`, 10 s by default.
   */
  waitForRevision(revision: number, options?: CallOptions): Promise<void> {
    return this.#informer.waitForRevision(revision, options)
  }

  /** Ends the copy and its watch. */
  close(): Promise<void> {
    return this.#informer.close()
  }

  /** Same as `close()`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}

/** Errors of the caller's codec may be any kind of error. */
function unreadable({ keyText, error }: InvalidEntry): unknown {
  if (isEtcdError(error, 'DECODE_FAILED')) return error
  const why = messageOf(error)
  const message = `the value of ${JSON.stringify(keyText)} cannot be read: ${why}`
  return new EtcdError(message, { code: 'DECODE_FAILED', effect: 'none', cause: error })
}
