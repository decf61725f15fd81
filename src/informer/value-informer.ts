import { EtcdError, isEtcdError } from '../core/errors.js'
import type { Bytes } from '../core/key-range.js'
import type { CallOptions } from '../transport/transport.js'
import type { InvalidEntry } from './draft.js'
import type { Entry } from './entry.js'
import type { Informer } from './informer.js'
import type { InformerStats } from './informer-options.js'

/** What happened to the one key of a value: it is there, with this value, or it is gone. */
export type ValueListener<T> = (value: T | undefined, old: T | undefined) => unknown

/** One key in memory that follows the cluster; see `Informer`, of which it is the smallest form. */
export class ValueInformer<T> implements AsyncDisposable {
  readonly #informer: Informer<T>
  readonly #key: Bytes

  /** @internal Made by `value()`. */
  constructor(informer: Informer<T>, key: Bytes) {
    this.#informer = informer
    this.#key = key
  }

  /**
   * Resolves when the key was read for the first time, whether it exists or not, with its value. Rejects with
   * `DECODE_FAILED` where the key has a value that the codec cannot read, and none that it could read before; the value is
   * followed all the same.
   */
  async ready(options?: CallOptions): Promise<T | undefined> {
    await this.#informer.ready(options)
    const { entry, invalid } = this
    if (entry === undefined && invalid !== undefined) throw unreadable(invalid)
    return entry?.value
  }

  /** The value; `undefined` before `ready()`, if there is no such key, and while no value of it could be read. */
  get current(): T | undefined {
    return this.#informer.get(this.#key)
  }

  /** The value with its history. */
  get entry(): Entry<T> | undefined {
    return this.#informer.entry(this.#key)
  }

  /** The value that the key has, if the codec cannot read it; `current` is then the last one that it could read. */
  get invalid(): InvalidEntry | undefined {
    return this.#informer.invalid()[0]
  }

  /** The revision that `current` shows. */
  get revision(): number {
    return this.#informer.revision
  }

  stats(): InformerStats {
    return this.#informer.stats()
  }

  /** Calls `listener` with the value there is, and again whenever it changes. Returns a function that ends that. */
  onChange(listener: ValueListener<T>): () => void {
    return this.#informer.on('change', ({ value, old }) => listener(value, old?.value))
  }

  /** Calls `listener` when the value could not be read from the cluster, or by the codec; `current` stays what it was. */
  onError(listener: (error: unknown) => void): () => void {
    const ends = [
      this.#informer.on('error', ({ error }) => listener(error)),
      this.#informer.on('invalid', ({ error }) => listener(error)),
      this.#informer.on('handlerError', ({ error }) => listener(error)),
    ]
    return () => {
      for (const end of ends) end()
    }
  }

  /** Resolves when `current` shows `revision` or a later one. */
  waitForRevision(revision: number, options?: CallOptions): Promise<void> {
    return this.#informer.waitForRevision(revision, options)
  }

  close(): Promise<void> {
    return this.#informer.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}

/** The codec may be the caller's, and so may its errors. */
function unreadable({ keyText, error }: InvalidEntry): unknown {
  if (isEtcdError(error, 'DECODE_FAILED')) return error
  const why = error instanceof Error ? error.message : String(error)
  const message = `the value of ${JSON.stringify(keyText)} cannot be read: ${why}`
  return new EtcdError(message, { code: 'DECODE_FAILED', effect: 'none', cause: error })
}
