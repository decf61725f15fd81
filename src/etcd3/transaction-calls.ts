import {
  type CallOptions,
  type Comparison,
  type Etcd,
  type KeyRange,
  key as keyOf,
  type StmTransaction,
} from '../index.js'
import { ClientRuntimeError } from './errors.js'
import { Range } from './range.js'
import type { ServiceName } from './rpc/call-context.js'
import type { ICallable } from './rpc/callable.js'
import type { IDeleteRangeRequest, IPutRequest, IRangeRequest } from './rpc/kv-messages.js'
import { toKeyValue } from './rpc/response.js'

const noKey = Buffer.alloc(0)
const refusedReads = [
  'revision',
  'range_end',
  'min_mod_revision',
  'max_mod_revision',
  'min_create_revision',
  'max_create_revision',
] as const

/** The calls of the builders, made within one run of a software transaction. */
export class TransactionCalls implements ICallable<never> {
  readonly callOptionsFactory = undefined
  readonly #tx: StmTransaction
  readonly #engine: Etcd
  readonly #written: Buffer[] = []
  readonly #deleted: Range[] = []
  readonly #read = new Map<string, Comparison>()

  constructor(tx: StmTransaction, engine: Etcd) {
    this.#tx = tx
    this.#engine = engine
  }

  async exec<R>(_service: ServiceName, method: string, params: unknown): Promise<R> {
    // The caller names the type of the answer of the method.
    return (await this.#call(method, params)) as R
  }

  withConnection(): never {
    throw new ClientRuntimeError('a software transaction has no streams')
  }

  markFailed(): void {}

  /** Of the keys of a range, those that others create meanwhile have no revision to compare. */
  assertNoRangeAfterRead(): void {
    if (this.#read.size === 0 || this.#deleted.length === 0) return
    throw new Error('You cannot delete ranges in the SerializableSnapshot isolation level')
  }

  /** Whether every key that was read is still as it was. */
  async isUnchanged(options: CallOptions): Promise<boolean> {
    if (this.#read.size === 0) return true
    const { succeeded } = await this.#engine
      .txn()
      .if(...this.#read.values())
      .commit(options)
    return succeeded
  }

  #call(method: string, params: unknown): Promise<object> {
    switch (method) {
      case 'range':
        return this.#range(params as IRangeRequest)
      case 'put':
        return this.#put(params as IPutRequest)
      case 'deleteRange':
        return this.#delete(params as IDeleteRangeRequest)
      default:
        throw new ClientRuntimeError(`Unexpected kv operation in STM: ${method}`)
    }
  }

  async #range(request: IRangeRequest): Promise<object> {
    refuse('read', request, refusedReads)
    const { key = noKey } = request
    const isOwn = this.#isWritten(key)
    const kv = await this.#tx.get(key)
    if (!isOwn) this.#read.set(key.toString('latin1'), keyOf(key).modRevision.equals(kv?.modRevision ?? 0))
    return { kvs: kv === undefined ? [] : [toKeyValue(kv)], more: false, count: kv === undefined ? '0' : '1' }
  }

  async #put(request: IPutRequest): Promise<object> {
    refuse('put', request, ['lease', 'prev_kv', 'ignore_value'])
    const { key = noKey, value = noKey, ignore_lease: ignoreLease } = request
    this.#tx.put(key, value, ignoreLease === true ? { ignoreLease } : {})
    this.#written.push(key)
    return {}
  }

  async #delete(request: IDeleteRangeRequest): Promise<object> {
    refuse('delete', request, ['prev_kv'])
    const { key = noKey, range_end: end } = request
    if (end === undefined || end.length === 0) {
      this.#tx.delete(key)
      this.#written.push(key)
    } else await this.#deleteRange(new Range(key, end))
    return { deleted: '1', prev_kvs: [] }
  }

  /** Deletes the keys that are there, and those that this run has written. */
  async #deleteRange(range: Range): Promise<void> {
    this.#deleted.push(range)
    const isOpen = range.end.length === 1 && range.end[0] === 0
    const keys: KeyRange = isOpen ? { from: range.start } : { from: range.start, to: range.end }
    const { kvs } = await this.#engine.range(keys, { keysOnly: true })
    const written = this.#written.filter((key) => range.includes(key))
    for (const key of [...kvs.map((kv) => kv.key), ...written]) this.#tx.delete(key)
    this.#written.push(...kvs.map((kv) => kv.key))
  }

  #isWritten(key: Buffer): boolean {
    return this.#written.some((written) => written.equals(key))
  }
}

function refuse<Request>(what: string, request: Request, names: readonly (keyof Request & string)[]): void {
  const name = names.find((one) => request[one] !== undefined)
  if (name !== undefined) throw new Error(`"${name}" is not supported in ${what} requests within STM transactions`)
}
