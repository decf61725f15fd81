import { type EncodedRange, prefixRange } from '../core/key-range.js'
import type { DeleteRangeRequest, PutRequest, RequestOp, TxnRequest } from '../gen/messages.js'
import type { CallContext, Layer, Transport } from '../transport/transport.js'
import { type Method, methods } from '../wire/methods.js'
import type { ReadMemory } from './read-memory.js'
import { rangeOf } from './wire-range.js'

const everyKey = prefixRange(Buffer.alloc(0))

/** Tells the memory of reads what this client has written, so that nothing it is given is older than that. */
export function readMemoryLayer(memory: ReadMemory): Layer {
  return (inner) => ({
    unary(method, request, context) {
      return context.proposal ? write(inner, memory, method, request, context) : inner.unary(method, request, context)
    },
  })
}

async function write<Request, Response>(
  inner: Transport,
  memory: ReadMemory,
  method: Method<Request, Response>,
  request: Request,
  context: CallContext,
): Promise<Response> {
  try {
    const response = await inner.unary(method, request, context)
    tell(memory, method, request, (response as { readonly header?: { readonly revision: number } }).header?.revision)
    return response
  } catch (error) {
    // It may have been applied all the same.
    tell(memory, method, request, undefined)
    throw error
  }
}

/**
 * Told when a write ends, of all that the memory has by then: whatever came to it while the write was under way, an answer
 * to a read or a new copy, may be from before the write.
 */
function tell(memory: ReadMemory, method: unknown, request: unknown, revision: number | undefined): void {
  if (!memory.isInUse) return
  for (const range of writtenBy(method, request)) memory.wrote(range, revision)
}

function writtenBy(method: unknown, request: unknown): readonly EncodedRange[] {
  // Each method's request is its own.
  if (method === methods.KV.Put) return [rangeOf(request as PutRequest)]
  if (method === methods.KV.DeleteRange) return [rangeOf(request as DeleteRangeRequest)]
  if (method === methods.KV.Txn) return writtenByTxn(request as TxnRequest)
  // Which keys the lease had, only the cluster knows.
  return method === methods.Lease.LeaseRevoke ? [everyKey] : []
}

function writtenByTxn({ success = [], failure = [] }: TxnRequest): readonly EncodedRange[] {
  return [...success, ...failure].flatMap(writtenByOperation)
}

function writtenByOperation({ requestPut, requestDeleteRange, requestTxn }: RequestOp): readonly EncodedRange[] {
  if (requestTxn !== undefined) return writtenByTxn(requestTxn)
  const write = requestPut ?? requestDeleteRange
  return write === undefined ? [] : [rangeOf(write)]
}
