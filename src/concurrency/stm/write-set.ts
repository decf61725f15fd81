import type { Bytes } from '../../core/key-range.js'
import { KeyValue } from '../../core/key-value.js'
import { ownBytes } from '../../core/validate.js'
import { deleteKey, type Operation, put } from '../../kv/operation.js'
import { ownKey } from '../../kv/requests.js'
import { idOf } from './read-set.js'
import type { StmPutOptions } from './stm-transaction.js'

/** The future value of a key, and the operation that writes it. */
interface Write {
  readonly key: Buffer
  readonly kv: KeyValue | undefined
  readonly operation: Operation
}

/** The writes of one run of a software transaction: the last one of each key. */
export class WriteSet {
  readonly #writes = new Map<string, Write>()

  get size(): number {
    return this.#writes.size
  }

  get keys(): Buffer[] {
    return [...this.#writes.values()].map(({ key }) => key)
  }

  put(name: Bytes, value: Bytes, { lease, ignoreLease }: StmPutOptions): void {
    const key = ownKey(name)
    const bytes = ownBytes('value', value)
    const fields = ignoreLease === true ? { ignoreLease } : { lease }
    const kv = Object.assign(new KeyValue(), { key, value: bytes, lease })
    this.#writes.set(idOf(key), { key, kv, operation: put(key, bytes, fields) })
  }

  delete(name: Bytes): void {
    const key = ownKey(name)
    this.#writes.set(idOf(key), { key, kv: undefined, operation: deleteKey(key) })
  }

  /** The write of a key, if there is one. */
  get(key: Buffer): Write | undefined {
    return this.#writes.get(idOf(key))
  }

  operations(): Operation[] {
    return [...this.#writes.values()].map(({ operation }) => operation)
  }
}
