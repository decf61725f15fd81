import type { Bytes } from '../../core/key-range.js'
import type { KeyValue } from '../../core/key-value.js'
import type { PutFields } from '../../kv/requests.js'

/** Options of `put()` in a software transaction: the lease of the key. Without one, the key is detached from its lease. */
export type StmPutOptions = Pick<PutFields, 'lease' | 'ignoreLease'>

/**
 * One run of the function of `stm()`. When the function has returned, or its time limit has passed, all methods throw an
 * `InvalidArgumentError`.
 */
export interface StmTransaction {
  /** The number of this run, from 1. */
  readonly attempt: number
  /**
   * Reads a key; `undefined` if it does not exist. A run reads each key once, and sees its own writes, with 0 for their revisions and
   * version.
   */
  get(key: Bytes): Promise<KeyValue | undefined>
  /** Reads several keys in one round trip. The results are in the order of `keys`. */
  getAll(keys: readonly Bytes[]): Promise<(KeyValue | undefined)[]>
  /** Writes a key when the transaction commits. Of several writes of a key, the last one counts. */
  put(key: Bytes, value: Bytes, options?: StmPutOptions): void
  /** Deletes a key when the transaction commits. */
  delete(key: Bytes): void
}
