import type { KeyValue } from '../../core/key-value.js'
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
import { type Method, methods } from '../../protobuf/methods.js'
import type { CallContext, Layer, Transport } from '../../transport/transport.js'
import { addPrefix, prefixRange, stripPrefix } from './namespace-range.js'

/** How the messages of one method are taken into the namespace and out of it. */
interface Translation<Request, Response> {
  readonly into: (prefix: Buffer, request: Request) => Request
  readonly outOf: (prefix: Buffer, response: Response) => void
}

/**
 * Adds a prefix to every key of the KV service, in requests of all kinds, and strips it from the answers. Calls that name
 * no keys pass untouched.
 */
export function namespaceLayer(prefix: Buffer): Layer {
  return (inner) => ({
    unary<Request, Response>(method: Method<Request, Response>, request: Request, context: CallContext) {
      const translation = translations.get(method) as Translation<Request, Response> | undefined
      if (translation === undefined) return inner.unary(method, request, context)
      return call(inner, method, translation, request, context)
    },
  })

  async function call<Request, Response>(
    inner: Transport,
    method: Method<Request, Response>,
    { into, outOf }: Translation<Request, Response>,
    request: Request,
    context: CallContext,
  ): Promise<Response> {
    const response = await inner.unary(method, into(prefix, request), context)
    outOf(prefix, response)
    return response
  }
}

const translations = new Map<unknown, unknown>()

function translate<Request, Response>(
  method: Method<Request, Response>,
  into: (prefix: Buffer, request: Request) => Request,
  outOf: (prefix: Buffer, response: Response) => void,
): void {
  translations.set(method, { into, outOf } satisfies Translation<Request, Response>)
}

translate(methods.KV.Range, prefixRange, stripRange)
translate(methods.KV.Put, (prefix, put) => ({ ...put, key: addPrefix(prefix, put.key) }), stripPut)
translate(methods.KV.DeleteRange, prefixRange, stripDeleted)
translate(methods.KV.Txn, prefixTxn, stripTxn)

function prefixTxn(prefix: Buffer, { compare, success, failure }: TxnRequest): TxnRequest {
  return {
    compare: compare?.map((one): Compare => prefixRange(prefix, one)),
    success: success?.map((operation) => prefixOperation(prefix, operation)),
    failure: failure?.map((operation) => prefixOperation(prefix, operation)),
  }
}

function prefixOperation(prefix: Buffer, operation: RequestOp): RequestOp {
  if (operation.requestRange !== undefined) return { requestRange: prefixRange(prefix, operation.requestRange) }
  if (operation.requestDeleteRange !== undefined) {
    return { requestDeleteRange: prefixRange(prefix, operation.requestDeleteRange) }
  }
  if (operation.requestTxn !== undefined) return { requestTxn: prefixTxn(prefix, operation.requestTxn) }
  const { requestPut } = operation
  return { requestPut: { ...requestPut, key: addPrefix(prefix, requestPut.key) } }
}

// Answers belong to the one call that they were decoded for, so their keys are changed in place.

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
