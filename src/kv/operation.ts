import type { Bytes, KeyRange } from '../core/key-range.js'
import type { KeyValue } from '../core/key-value.js'
import { assertKnownOptions, ownBytes } from '../core/validate.js'
import type { RequestOp, ResponseOp } from '../protobuf/generated/messages.js'
import {
  type DeleteFields,
  deleteRangeRequest,
  deleteRequest,
  type GetFields,
  getRequest,
  optionNames,
  ownKey,
  type PutFields,
  putRequest,
  type RangeFields,
  rangeRequest,
} from './requests.js'
import { TxnPart } from './txn-part.js'

/** One operation of a transaction, and how its result is read from the response. */
export class Operation<Result = unknown> extends TxnPart {
  /** @internal */
  readonly request: RequestOp
  /** @internal */
  readonly read: (response: ResponseOp) => Result

  /** Made by `get()`, `put()` and the like. */
  constructor(request: RequestOp, read: (response: ResponseOp) => Result) {
    super()
    this.request = request
    this.read = read
  }
}

/** The result of `range()` in a transaction. */
export interface RangeOpResult {
  readonly kvs: KeyValue[]
  /** The number of keys in the whole range, whatever the limit and the filters. */
  readonly count: number
  readonly more: boolean
}

/** The result of `put()` in a transaction. */
export interface PutOpResult {
  readonly prevKv: KeyValue | undefined
}

/** The result of `deleteKey()` and `deleteRange()` in a transaction. */
export interface DeleteOpResult {
  readonly deleted: number
  readonly prevKvs: KeyValue[]
}

/** Reads a key in a transaction. */
export function get(key: Bytes, options?: GetFields): Operation<KeyValue | undefined> {
  if (options !== undefined) assertKnownOptions('get()', options, optionNames.getOp)
  return new Operation({ requestRange: getRequest(ownKey(key), options) }, ({ responseRange }) => responseRange?.kvs[0])
}

/** Reads a range of keys in a transaction. */
export function range(range: KeyRange, options: RangeFields = {}): Operation<RangeOpResult> {
  assertKnownOptions('range()', options, optionNames.rangeOp)
  return new Operation({ requestRange: rangeRequest(range, options) }, ({ responseRange }) => ({
    kvs: responseRange?.kvs ?? [],
    count: responseRange?.count ?? 0,
    more: responseRange?.more ?? false,
  }))
}

/** Writes a key in a transaction. */
export function put(key: Bytes, value: Bytes, options?: PutFields): Operation<PutOpResult> {
  if (options !== undefined) assertKnownOptions('put()', options, optionNames.putOp)
  return new Operation(
    { requestPut: putRequest(ownKey(key), ownBytes('value', value), options) },
    ({ responsePut }) => ({
      prevKv: responsePut?.prevKv,
    }),
  )
}

/** Deletes a key in a transaction. */
export function deleteKey(key: Bytes, options: DeleteFields = {}): Operation<DeleteOpResult> {
  assertKnownOptions('deleteKey()', options, optionNames.deleteOp)
  return new Operation({ requestDeleteRange: deleteRequest(ownKey(key), options) }, readDeleted)
}

/** Deletes a range of keys in a transaction. */
export function deleteRange(range: KeyRange, options: DeleteFields = {}): Operation<DeleteOpResult> {
  assertKnownOptions('deleteRange()', options, optionNames.deleteOp)
  return new Operation({ requestDeleteRange: deleteRangeRequest(range, options) }, readDeleted)
}

function readDeleted({ responseDeleteRange }: ResponseOp): DeleteOpResult {
  return { deleted: responseDeleteRange?.deleted ?? 0, prevKvs: responseDeleteRange?.prevKvs ?? [] }
}
