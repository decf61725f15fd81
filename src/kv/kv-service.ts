import type {
  CompactionRequest,
  CompactionResponse,
  DeleteRangeRequest,
  DeleteRangeResponse,
  PutRequest,
  PutResponse,
  RangeRequest,
  RangeResponse,
  TxnRequest,
  TxnResponse,
} from '../protobuf/generated/messages.js'
import { type Method, methods } from '../protobuf/methods.js'
import type { CallContext, Interceptor, Transport, UnaryHandler } from '../transport/transport.js'

/** One RPC of the KV service. */
export type KvCall<Request, Response> = (request: Request, context: CallContext) => Promise<Response>

/**
 * The unary RPCs of etcd's KV service. Read modes, cached reads, batches and namespaces are decorators: each takes a
 * service and returns one that replaces some of its calls, `{ ...inner, range }`. Its functions use no `this`.
 */
export interface KvService {
  readonly range: KvCall<RangeRequest, RangeResponse>
  readonly put: KvCall<PutRequest, PutResponse>
  readonly deleteRange: KvCall<DeleteRangeRequest, DeleteRangeResponse>
  readonly txn: KvCall<TxnRequest, TxnResponse>
  readonly compact: KvCall<CompactionRequest, CompactionResponse>
}

const { Range, Put, DeleteRange, Txn, Compact } = methods.KV

/** The KV service of the members that a transport reaches. */
export function kvService(transport: Transport): KvService {
  return {
    range: (request, context) => transport.unary(Range, request, context),
    put: (request, context) => transport.unary(Put, request, context),
    deleteRange: (request, context) => transport.unary(DeleteRange, request, context),
    txn: (request, context) => transport.unary(Txn, request, context),
    compact: (request, context) => transport.unary(Compact, request, context),
  }
}

/** Puts interceptors around a service and all of its decorators. The first one listed is the outermost. */
export function interceptKv(service: KvService, ...interceptors: readonly Interceptor[]): KvService {
  return interceptors.reduceRight(
    (inner, interceptor) => ({
      range: interceptCall(interceptor, Range, inner.range),
      put: interceptCall(interceptor, Put, inner.put),
      deleteRange: interceptCall(interceptor, DeleteRange, inner.deleteRange),
      txn: interceptCall(interceptor, Txn, inner.txn),
      compact: interceptCall(interceptor, Compact, inner.compact),
    }),
    service,
  )
}

function interceptCall<Request, Response>(
  interceptor: Interceptor,
  method: Method<Request, Response>,
  inner: KvCall<Request, Response>,
): KvCall<Request, Response> {
  const next: UnaryHandler<Request, Response> = (_, request, context) => inner(request, context)
  return (request, context) => interceptor(method, request, context, next)
}
