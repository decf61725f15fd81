import type { KeyValue } from '../../core/key-value.js'
import type { KvCall, KvService } from '../../kv/kv-service.js'
import type {
  Compare,
  DeleteRangeResponse,
  PutResponse,
  RangeResponse,
  RequestOp,
  ResponseOp,
  TxnRequest,
  TxnResponse,
} from '../../protobuf/generated/messages.js'
import { addPrefix, rangeInNamespace, stripPrefix } from './namespace-range.js'

/** Adds a prefix to every key in requests of all kinds, and strips it from the responses. */
export function withNamespace(inner: KvService, prefix: Buffer): KvService {
  const into = <Range extends { readonly key?: Uint8Array | undefined }>(range: Range): Range =>
    rangeInNamespace(prefix, range)
  return {
    ...inner,
    range: translated(inner.range, into, (response) => stripRange(prefix, response)),
    put: translated(
      inner.put,
      (put) => ({ ...put, key: addPrefix(prefix, put.key) }),
      (response) => stripPut(prefix, response),
    ),
    deleteRange: translated(inner.deleteRange, into, (response) => stripDeleted(prefix, response)),
    txn: translated(
      inner.txn,
      (txn) => prefixTxn(prefix, txn),
      (response) => stripTxn(prefix, response),
    ),
  }
}

function translated<Request, Response>(
  call: KvCall<Request, Response>,
  into: (request: Request) => Request,
  strip: (response: Response) => void,
): KvCall<Request, Response> {
  return async (request, context) => {
    const response = await call(into(request), context)
    strip(response)
    return response
  }
}

function prefixTxn(prefix: Buffer, { compare, success, failure }: TxnRequest): TxnRequest {
  return {
    compare: compare?.map((one): Compare => rangeInNamespace(prefix, one)),
    success: success?.map((operation) => prefixOperation(prefix, operation)),
    failure: failure?.map((operation) => prefixOperation(prefix, operation)),
  }
}

function prefixOperation(prefix: Buffer, operation: RequestOp): RequestOp {
  if (operation.requestRange !== undefined) return { requestRange: rangeInNamespace(prefix, operation.requestRange) }
  if (operation.requestDeleteRange !== undefined) {
    return { requestDeleteRange: rangeInNamespace(prefix, operation.requestDeleteRange) }
  }
  if (operation.requestTxn !== undefined) return { requestTxn: prefixTxn(prefix, operation.requestTxn) }
  const { requestPut } = operation
  return { requestPut: { ...requestPut, key: addPrefix(prefix, requestPut.key) } }
}

// A response belongs to the one call that it was decoded for, so its keys are changed in place.

function strip(prefix: Buffer, kv: KeyValue): void {
  kv.key = stripPrefix(prefix, kv.key)
}

function stripRange(prefix: Buffer, { kvs }: RangeResponse): void {
  for (const kv of kvs) strip(prefix, kv)
}

function stripPut(prefix: Buffer, { prevKv }: PutResponse): void {
  if (prevKv !== undefined) strip(prefix, prevKv)
}

function stripDeleted(prefix: Buffer, { prevKvs }: DeleteRangeResponse): void {
  for (const kv of prevKvs) strip(prefix, kv)
}

function stripTxn(prefix: Buffer, { responses }: TxnResponse): void {
  for (const response of responses) stripOperation(prefix, response)
}

function stripOperation(prefix: Buffer, response: ResponseOp): void {
  if (response.responseRange !== undefined) stripRange(prefix, response.responseRange)
  if (response.responsePut !== undefined) stripPut(prefix, response.responsePut)
  if (response.responseDeleteRange !== undefined) stripDeleted(prefix, response.responseDeleteRange)
  if (response.responseTxn !== undefined) stripTxn(prefix, response.responseTxn)
}
