import { EtcdError, InvalidArgumentError } from '../core/errors.js'
import { type Bytes, type KeyRange, ownRange } from '../core/key-range.js'
import type { KeyValue } from '../core/key-value.js'
import type { ReadPolicy } from '../core/read-policy.js'
import {
  assertFunction,
  describe,
  nonNegativeInteger,
  oneOf,
  optionalBoolean,
  ownBytes,
  positiveInteger,
} from '../core/validate.js'
import type { TxnRequest, TxnResponse } from '../protobuf/generated/messages.js'
import { checkCall } from '../transport/call-options.js'
import { responseBytesOf } from '../transport/call-progress.js'
import { type CallContext, type CallKind, type CallOptions, callContext } from '../transport/transport.js'
import { key as keyOf } from './compare.js'
import type { KvService } from './kv-service.js'
import { cursorAfter, type FetchedPage, Listing, type ListOptions, type PageReader } from './listing.js'
import { deleteKey, get, type Operation, put } from './operation.js'
import type { RangeStreams } from './range-stream.js'
import {
  type CountOptions,
  checkRead,
  countRequest,
  type DeleteOptions,
  deleteRangeRequest,
  deleteRequest,
  type GetOptions,
  getRequest,
  optionNames,
  ownKey,
  type PutIfOptions,
  type PutOptions,
  putFields,
  putRequest,
  type RangeOptions,
  rangeRequest,
  type TouchOptions,
  touchRequest,
} from './requests.js'
import {
  type ConditionalResult,
  type DeleteResult,
  type PutResult,
  putResult,
  type RangeResult,
  type ResponseInfo,
  responseInfo,
  type UpdateResult,
} from './results.js'
import { putWithTtl, type TtlLeases } from './ttl.js'
import { isReadOnly, linearizableRequest, Txn, txnSize } from './txn.js'
import { type UpdateFunction, type UpdateOptions, update } from './update.js'

/** Limits that protect the cluster and this process from a single call. */
export interface KvLimits {
  /** Maximum number of operations in a transaction, as the servers' `--max-txn-ops`. */
  readonly maxTxnOps: number
  /** Maximum number of keys in the result of `range()` without a limit. */
  readonly maxRangeKeys: number
  /** Maximum size of the result of `range()` without a limit, in bytes. */
  readonly maxRangeBytes: number
  /** Time limit of a call without `timeoutMs`, in milliseconds. */
  readonly timeoutMs: number
}

/** The parts that the KV API is made of. */
export interface KvParts {
  readonly kv: KvService
  readonly limits: KvLimits
  readonly leases: TtlLeases
  readonly rangeStreams: RangeStreams
}

/** Options of `compact()`. */
export interface CompactOptions extends CallOptions {
  /** Resolves only when the history is deleted from the member's database. @default false */
  readonly physical?: boolean | undefined
}

const read: CallKind = Object.freeze({ repeatable: true, requiresFloor: true, mayUseCache: true })
const write: CallKind = Object.freeze({ requiresFloor: true, proposal: true })

/**
 * Keys and values. Every call is sent at once; reads of single keys and grouped writes are sent together at the end of the
 * tick. A failed read is retried on other members, a failed write only if it is certain that it had no effect.
 *
 * Every promise rejects with an `EtcdError`, or with the reason of the `signal`. Match `code`, and look at `effect` before
 * you repeat a write. Common codes are `NOT_CONNECTED`, `CONNECTION_LOST`, `DEADLINE_EXCEEDED`, `NO_LEADER`,
 * `PERMISSION_DENIED` and `CLOSED`; wrong arguments reject with `InvalidArgumentError`, a `TypeError`, before anything is
 * sent.
 */
export class Kv {
  readonly #service: KvService
  readonly #limits: KvLimits
  readonly #leases: TtlLeases
  readonly #streams: RangeStreams

  constructor({ kv, limits, leases, rangeStreams }: KvParts) {
    this.#service = kv
    this.#streams = rangeStreams
    this.#limits = limits
    this.#leases = leases
  }

  /**
   * Reads one key. To learn which member answered, and in which mode, use `range(key)`.
   *
   * @returns The key with its value and revisions; `undefined` if it does not exist.
   * @throws `COMPACTED` or `FUTURE_REVISION`, with the option `revision`.
   * @example
   * ```ts
   * const port = (await etcd.get('config/port'))?.valueText
   * ```
   */
  async get(key: Bytes, options?: GetOptions): Promise<KeyValue | undefined> {
    checkRead('get()', options, optionNames.get)
    const { kvs } = await this.#service.range(getRequest(key, options), this.#readContext(options))
    return kvs[0]
  }

  /** Checks whether a key exists, without reading its value. */
  async exists(key: Bytes, options?: CountOptions): Promise<boolean> {
    checkRead('exists()', options, optionNames.count)
    const request = getRequest(key, { revision: options?.revision })
    const { count } = await this.#service.range({ ...request, countOnly: true }, this.#readContext(options))
    return count > 0
  }

  /**
   * Reads a range of keys in one call. Use `list()` for large ranges.
   *
   * @param range A key, `{ key }`, `{ prefix }` or `{ from, to }`.
   * @throws `RANGE_TOO_LARGE` without a `limit`, for more than `maxRangeKeys` keys or `maxRangeBytes` bytes; `COMPACTED` or
   *   `FUTURE_REVISION` with the option `revision`.
   * @example
   * ```ts
   * const { kvs, count, revision } = await etcd.range({ prefix: 'config/' }, { limit: 100 })
   * ```
   */
  async range(range: KeyRange, options: RangeOptions = {}): Promise<RangeResult> {
    const { result, bytes } = await this.#readPage(range, options, true)
    if (options.limit === undefined) this.#checkRangeSize(result, bytes)
    return result
  }

  /**
   * Counts the keys in a range, without reading them.
   *
   * @param range A key, `{ key }`, `{ prefix }` or `{ from, to }`.
   */
  async count(range: KeyRange, options?: CountOptions): Promise<number> {
    checkRead('count()', options, optionNames.count)
    const { count } = await this.#service.range(countRequest(range, options?.revision), this.#readContext(options))
    return count
  }

  /**
   * Lists all keys of a range at one revision, page by page and with bounded memory. Nothing is sent before the iteration
   * starts.
   *
   * @param range A key, `{ key }`, `{ prefix }` or `{ from, to }`.
   * @throws `InvalidArgumentError` at once, for wrong arguments. During the iteration `COMPACTED`, if the revision is
   *   compacted meanwhile and `onCompacted` is not `restart`.
   * @example
   * ```ts
   * for await (const { keyText, valueText } of etcd.list({ prefix: 'users/' })) console.log(keyText, valueText)
   * ```
   */
  list(range: KeyRange, options: ListOptions = {}): Listing {
    checkRead('list()', options, optionNames.list)
    const { cursor, revision, keysOnly, onRestart } = options
    const own = ownRange(range)
    rangeRequest(own, { cursor, revision, keysOnly })
    if (options.maxPageSize !== undefined) positiveInteger('maxPageSize', options.maxPageSize)
    if (options.onCompacted !== undefined) oneOf('onCompacted', options.onCompacted, ['throw', 'restart'])
    if (onRestart !== undefined) assertFunction('onRestart', onRestart)
    const read: PageReader = (pageRange, pageOptions) => this.#readPage(pageRange, pageOptions, false)
    return new Listing(read, own, options, this.#streams)
  }

  /**
   * Writes a key. Without `lease`, `ignoreLease` or `ttlSeconds` the key is detached from its lease, and stays until it is
   * deleted.
   *
   * @returns The revision of the write, and the previous key with `prevKv`.
   * @throws `LEASE_NOT_FOUND`, `NO_SPACE`, `REQUEST_TOO_LARGE`. An error with the effect `unknown` means that the write may
   *   have been applied.
   * @example
   * ```ts
   * const { revision } = await etcd.put('config/port', '8080')
   * ```
   */
  async put(key: Bytes, value: Bytes, options?: PutOptions): Promise<PutResult> {
    checkCall('put()', options, optionNames.put)
    const request = putRequest(key, value, options)
    if (options?.ttlSeconds !== undefined) return this.#putWithTtl(key, value, options)
    const context = callContext(options, write, this.#limits.timeoutMs)
    return putResult(await this.#service.put(request, context), context)
  }

  /**
   * Gives an existing key a new revision and keeps its value.
   *
   * @throws `KEY_NOT_FOUND` if the key does not exist.
   */
  async touch(key: Bytes, options: TouchOptions = {}): Promise<PutResult> {
    checkCall('touch()', options, optionNames.touch)
    const context = callContext(options, write, this.#limits.timeoutMs)
    return putResult(await this.#service.put(touchRequest(key, options), context), context)
  }

  /**
   * Deletes a key.
   *
   * @returns The number of deleted keys: 0 if the key did not exist.
   */
  async delete(key: Bytes, options: DeleteOptions = {}): Promise<DeleteResult> {
    checkCall('delete()', options, optionNames.delete)
    return this.#delete(deleteRequest(key, options), options)
  }

  /**
   * Deletes all keys of a range at one revision.
   *
   * @param range A key, `{ key }`, `{ prefix }` or `{ from, to }`.
   * @returns The number of deleted keys, and the keys themselves with `prevKv`.
   */
  async deleteRange(range: KeyRange, options: DeleteOptions = {}): Promise<DeleteResult> {
    checkCall('deleteRange()', options, optionNames.delete)
    return this.#delete(deleteRangeRequest(range, options), options)
  }

  /**
   * Starts a transaction.
   *
   * @example
   * ```ts
   * const { succeeded } = await etcd.txn().if(key('a').missing()).then(put('a', '1')).else(get('a')).commit()
   * ```
   */
  txn(): Txn {
    return new Txn((request, options) => this.#commit(request, options))
  }

  /**
   * Writes a key if its `modRevision` is as expected.
   *
   * @param modRevision The expected `modRevision` of the key; 0 for a key that does not exist.
   * @returns Whether it was written, and the `current` state of the key if it has another revision.
   */
  async putIf(key: Bytes, value: Bytes, modRevision: number, options: PutIfOptions = {}): Promise<ConditionalResult> {
    checkCall('putIf()', options, optionNames.conditional)
    return this.#applyIf(key, modRevision, put(key, value, putFields(options)), options)
  }

  /**
   * Deletes a key if its `modRevision` is as expected.
   *
   * @param modRevision The expected `modRevision` of the key.
   * @returns Whether it was deleted, and the `current` state of the key if it has another revision.
   */
  async deleteIf(key: Bytes, modRevision: number, options: CallOptions = {}): Promise<ConditionalResult> {
    checkCall('deleteIf()', options, optionNames.call)
    return this.#applyIf(key, modRevision, deleteKey(key), options)
  }

  /**
   * Updates a key atomically: reads it, calls `change` with it, and writes the result if the key has not been written
   * meanwhile. Otherwise it tries again, after a delay with jitter.
   *
   * @param change Makes the new value from the current key; `null` deletes the key, `undefined` leaves it as it is. It may
   *   be called several times.
   * @throws `UPDATE_CONFLICT` after `maxAttempts` attempts; `DEADLINE_EXCEEDED` after `timeoutMs`, which includes the time that
   *   `change` takes; the error of the write, whose effect may be `unknown`, if its response was lost; what `change` throws.
   * @example
   * ```ts
   * await etcd.update('counter', (current) => String(Number(current?.valueText ?? 0) + 1))
   * ```
   */
  async update(key: Bytes, change: UpdateFunction, options: UpdateOptions = {}): Promise<UpdateResult> {
    checkCall('update()', options, optionNames.update)
    if (typeof change !== 'function') {
      throw new InvalidArgumentError(`update() takes a function, got ${describe(change)}`)
    }
    putFields(options)
    return update(this, ownKey(key), change, { ...options, timeoutMs: options.timeoutMs ?? this.#limits.timeoutMs })
  }

  /**
   * Discards the history before `revision`.
   *
   * @param revision The oldest revision to keep.
   * @throws `COMPACTED` if that revision is compacted already, `FUTURE_REVISION` if it does not exist yet.
   */
  async compact(revision: number, options: CompactOptions = {}): Promise<ResponseInfo> {
    checkCall('compact()', options, optionNames.compact)
    const request = {
      revision: positiveInteger('revision', revision),
      physical: optionalBoolean('physical', options.physical),
    }
    const context = callContext(options, { requiresFloor: true }, this.#limits.timeoutMs)
    const response = await this.#service.compact(request, context)
    return responseInfo(response.header, context)
  }

  async #readPage(range: KeyRange, options: RangeOptions, mayUseCache: boolean): Promise<FetchedPage> {
    checkRead('range()', options, optionNames.range)
    const request = rangeRequest(range, options)
    const context = this.#readContext(options, mayUseCache)
    const limit = request.limit ?? this.#limits.maxRangeKeys
    const response = await this.#service.range({ ...request, limit }, context)
    const { servedAs = 'linearizable', isStale } = context.progress
    const info = responseInfo(response.header, context)
    const { kvs, count, more } = response
    const revision = request.revision ?? info.revision
    const cursor = request.sortTarget === undefined ? cursorAfter(range, { kvs, more, revision }) : undefined
    return {
      result: { ...info, kvs, count, more, revision, cursor, mode: servedAs, stale: isStale },
      bytes: responseBytesOf(context.progress),
    }
  }

  #readContext(options: (ReadPolicy & CallOptions) | undefined, mayUseCache = true): CallContext {
    const kind = options === undefined && mayUseCache ? read : { ...read, readPolicy: options, mayUseCache }
    return callContext(options, kind, this.#limits.timeoutMs)
  }

  #checkRangeSize({ more, count }: RangeResult, bytes: number): void {
    const { maxRangeKeys, maxRangeBytes } = this.#limits
    if (!more && bytes <= maxRangeBytes) return
    const size = more
      ? `${count} keys, over maxRangeKeys = ${maxRangeKeys}`
      : `${bytes} bytes, over maxRangeBytes = ${maxRangeBytes}`
    throw new EtcdError(`the range holds ${size}: read it with list(), or set a limit`, {
      code: 'RANGE_TOO_LARGE',
      effect: 'none',
      method: 'KV.Range',
    })
  }

  #putWithTtl(key: Bytes, value: Bytes, options: PutOptions): Promise<PutResult> {
    return putWithTtl(this, this.#leases, [ownKey(key), ownBytes('value', value)], options)
  }

  async #delete(request: ReturnType<typeof deleteRequest>, options: CallOptions): Promise<DeleteResult> {
    const context = callContext(options, write, this.#limits.timeoutMs)
    const response = await this.#service.deleteRange(request, context)
    return { ...responseInfo(response.header, context), deleted: response.deleted, prevKvs: response.prevKvs }
  }

  async #commit(
    request: TxnRequest,
    options: CallOptions | undefined,
  ): Promise<{ info: ResponseInfo; response: TxnResponse }> {
    checkCall('commit()', options, optionNames.call)
    this.#checkTxnSize(request)
    const readOnly = isReadOnly(request)
    const kind = { requiresFloor: true, repeatable: readOnly, proposal: !readOnly }
    const context = callContext(options, kind, this.#limits.timeoutMs)
    const sent = linearizableRequest(request)
    const answer = await this.#service.txn(sent, context)
    const response = sent === request ? answer : { ...answer, responses: [] }
    return { info: responseInfo(response.header, context), response }
  }

  #checkTxnSize(request: TxnRequest): void {
    const size = txnSize(request)
    if (size <= this.#limits.maxTxnOps) return
    throw new EtcdError(
      `the transaction has ${size} operations or comparisons, over maxTxnOps = ${this.#limits.maxTxnOps}`,
      {
        code: 'TOO_MANY_OPS',
        effect: 'none',
        method: 'KV.Txn',
      },
    )
  }

  async #applyIf(
    key: Bytes,
    modRevision: number,
    operation: Operation,
    { signal, timeoutMs }: CallOptions,
  ): Promise<ConditionalResult> {
    const expected = nonNegativeInteger('modRevision', modRevision)
    const result = await this.txn()
      .if(keyOf(key).modRevision.equals(expected))
      .then(operation)
      .else(get(key))
      .commit({ signal, timeoutMs })
    const { revision, endpoint, memberId, clusterId } = result
    const info = { revision, endpoint, memberId, clusterId }
    return result.succeeded ? { ...info, succeeded: true } : { ...info, succeeded: false, current: result.responses[0] }
  }
}
