import type { Bytes } from '../../core/key-range.js'
import type { KeyValue } from '../../core/key-value.js'
import type { PutFields } from '../../kv/requests.js'

/** Options of `put()` in a software transaction: the key's lease. Without one the key leaves the lease it had. */
export type StmPutOptions = Pick<PutFields, 'lease' | 'ignoreLease'>

/**
 * One run of the function that was given to `stm()`. It belongs to that run: used after the function has returned or was
 * given up, it throws an `InvalidArgumentError`.
 */
export interface StmTransaction {
  /** Which run this is; 1 is the first. */
  readonly attempt: number
  /**
   * Reads a key; `undefined` if it does not exist. A run reads a key once, and sees what it has written itself: with 0 for
   * the revisions and the version, which it has none of yet.
   */
  get(key: Bytes): Promise<KeyValue | undefined>
  /** Reads several keys in one round trip, in the order of `keys`. */
  getAll(keys: readonly Bytes[]): Promise<(KeyValue | undefined)[]>
  /** Writes a key when the transaction is committed. Of several writes of a key, the last one counts. */
  put(key: Bytes, value: Bytes, options?: StmPutOptions): void
  /** Deletes a key when the transaction is committed. */
  delete(key: Bytes): void
}
