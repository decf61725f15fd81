import type {
  DeleteRangeRequest,
  PutRequest,
  RangeRequest,
  RequestOp,
  TxnRequest,
} from '../protobuf/generated/messages.js'
import { methods } from '../protobuf/methods.js'
import type { ClientTelemetry } from '../telemetry/client-telemetry.js'
import type { CallRequest } from '../telemetry/records.js'

const noKeys: CallRequest = Object.freeze({ range: undefined, keyText: undefined, operations: 1 })

type KeyedRequest = Pick<RangeRequest & PutRequest & DeleteRangeRequest, 'key' | 'rangeEnd'>

/** The keys and the number of operations of a request, without its values. */
export function callRequest(method: unknown, request: unknown, telemetry: ClientTelemetry): CallRequest {
  switch (method) {
    // Each method has requests of one type.
    case methods.KV.Range:
    case methods.KV.Put:
    case methods.KV.DeleteRange:
      return keyed(request as KeyedRequest, 1, telemetry)
    case methods.KV.Txn:
      return ofTxn(request as TxnRequest, telemetry)
    default:
      return noKeys
  }
}

/** How many operations a request holds. */
export function operationsOf({ path }: { readonly path: string }, request: unknown): number {
  if (path !== methods.KV.Txn.path) return 1
  // The request of a batch is a list of calls.
  if (Array.isArray(request)) return request.length
  const { success = [], failure = [] } = request as TxnRequest
  return success.length + failure.length
}

/** The number of keys in a response. */
export function responseKeys(method: unknown, response: unknown): number {
  // Each method has responses of one type.
  const { kvs, deleted, responses } = response as { kvs?: unknown[]; deleted?: number; responses?: ResponseOps }
  switch (method) {
    case methods.KV.Range:
      return kvs?.length ?? 0
    case methods.KV.DeleteRange:
      return deleted ?? 0
    case methods.KV.Txn:
      return (responses ?? []).reduce((sum, { responseRange, responseDeleteRange }) => {
        return sum + (responseRange?.kvs.length ?? responseDeleteRange?.deleted ?? 0)
      }, 0)
    default:
      return 0
  }
}

type ResponseOps = readonly {
  readonly responseRange?: { readonly kvs: readonly unknown[] }
  readonly responseDeleteRange?: { readonly deleted: number }
}[]

function keyed({ key, rangeEnd }: KeyedRequest, operations: number, telemetry: ClientTelemetry): CallRequest {
  if (key === undefined) return noKeys
  return { ...telemetry.range(key, rangeEnd), operations }
}

function ofTxn(request: TxnRequest, telemetry: ClientTelemetry): CallRequest {
  const { compare = [], success = [], failure = [] } = request
  const operations = operationsOf(methods.KV.Txn, request)
  const [first] = [...compare, ...success.map(keyedOf), ...failure.map(keyedOf)].filter((each) => each !== undefined)
  return first === undefined ? { ...noKeys, operations } : keyed(first, operations, telemetry)
}

function keyedOf({ requestRange, requestPut, requestDeleteRange }: RequestOp): KeyedRequest | undefined {
  return requestRange ?? requestPut ?? requestDeleteRange
}
