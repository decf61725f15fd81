import { type EncodedRange, prefixRange } from '../../core/key-range.js'
import type { DeleteRangeRequest, PutRequest, RequestOp, TxnRequest } from '../../protobuf/generated/messages.js'
import { methods } from '../../protobuf/methods.js'
import type { Layer } from '../../transport/transport.js'
import { rangeOf } from '../wire-range.js'
import type { ReadCache } from './read-cache.js'

const everyKey = prefixRange(Buffer.alloc(0))

/** Tells the memory of reads what this client has written, so that nothing it is given is older than that. */
export function readCacheLayer(memory: ReadCache): Layer {
  return (inner) => ({
    unary(method, request, context) {
      const answer = inner.unary(method, request, context)
      // Before the caller hears of it: who listens first is told first.
      if (context.proposal) {
        answer.then(
          (response) => tell(memory, method, request, revisionOf(response)),
          // It may have been applied all the same.
          () => tell(memory, method, request, undefined),
        )
      }
      return answer
    },
  })
}

function revisionOf(response: unknown): number | undefined {
  return (response as { readonly header?: { readonly revision: number } }).header?.revision
}

/**
 * Told when a write ends, of all that the memory has by then: whatever came to it while the write was under way, an answer
 * to a read or a new copy, may be from before the write.
 */
function tell(memory: ReadCache, method: unknown, request: unknown, revision: number | undefined): void {
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
