import type { EncodedRange } from '../core/key-range.js'
import type { DeleteRangeRequest, PutRequest, RequestOp, TxnRequest } from '../gen/messages.js'
import type { CallContext, Layer, Transport } from '../transport/transport.js'
import { type Method, methods } from '../wire/methods.js'
import type { ReadMemory } from './read-memory.js'
import { rangeOf } from './wire-range.js'

/** Tells the memory of reads what this client writes, so that nothing it is given is older than that. */
export function readMemoryLayer(memory: ReadMemory): Layer {
  return (inner) => ({
    unary(method, request, context) {
      if (!context.proposal || !memory.isInUse) return inner.unary(method, request, context)
      return write(inner, memory, method, request, context)
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
  const ranges = writtenBy(method, request)
  const told = (revision: number | undefined): void => {
    for (const range of ranges) memory.wrote(range, revision)
  }
  told(undefined)
  try {
    const response = await inner.unary(method, request, context)
    told((response as { readonly header?: { readonly revision: number } }).header?.revision)
    return response
  } catch (error) {
    // It may have been applied all the same.
    told(undefined)
    throw error
  }
}

function writtenBy(method: unknown, request: unknown): readonly EncodedRange[] {
  // Each method's request is its own.
  if (method === methods.KV.Put) return [rangeOf(request as PutRequest)]
  if (method === methods.KV.DeleteRange) return [rangeOf(request as DeleteRangeRequest)]
  return method === methods.KV.Txn ? writtenByTxn(request as TxnRequest) : []
}

function writtenByTxn({ success = [], failure = [] }: TxnRequest): readonly EncodedRange[] {
  return [...success, ...failure].flatMap(writtenByOperation)
}

function writtenByOperation({ requestPut, requestDeleteRange, requestTxn }: RequestOp): readonly EncodedRange[] {
  if (requestTxn !== undefined) return writtenByTxn(requestTxn)
  const write = requestPut ?? requestDeleteRange
  return write === undefined ? [] : [rangeOf(write)]
}
