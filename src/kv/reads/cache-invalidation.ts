import type { EncodedRange } from '../../core/key-range.js'
import type { RequestOp, ResponseHeader, TxnRequest } from '../../protobuf/generated/messages.js'
import type { KvService } from '../kv-service.js'
import { requestRange } from '../wire-range.js'
import type { ReadCache } from './read-cache.js'

/** Reports this client's writes to its read cache, so that no cached answer is older than they are. */
export function withCacheInvalidation(inner: KvService, cache: ReadCache): KvService {
  return {
    ...inner,
    put: (request, context) => afterWrite(cache, inner.put(request, context), () => [requestRange(request)]),
    deleteRange: (request, context) =>
      afterWrite(cache, inner.deleteRange(request, context), () => [requestRange(request)]),
    txn: (request, context) =>
      context.proposal
        ? afterWrite(cache, inner.txn(request, context), () => writtenByTxn(request))
        : inner.txn(request, context),
  }
}

/**
 * Invalidates when the write ends, not when it starts: whatever has come into the cache meanwhile, an answer to a read or
 * a new copy, may be from before the write.
 */
function afterWrite<Response extends { readonly header: ResponseHeader | undefined }>(
  cache: ReadCache,
  write: Promise<Response>,
  written: () => readonly EncodedRange[],
): Promise<Response> {
  const ended = (response?: Response): void => {
    if (cache.isInUse) for (const range of written()) cache.invalidate(range, response?.header?.revision)
  }
  // Registered before the caller's handlers, and so called before them. A write that failed may have been applied all the same.
  write.then(ended, () => ended())
  return write
}

function writtenByTxn({ success = [], failure = [] }: TxnRequest): readonly EncodedRange[] {
  return [...success, ...failure].flatMap(writtenByOperation)
}

function writtenByOperation({ requestPut, requestDeleteRange, requestTxn }: RequestOp): readonly EncodedRange[] {
  if (requestTxn !== undefined) return writtenByTxn(requestTxn)
  const write = requestPut ?? requestDeleteRange
  return write === undefined ? [] : [requestRange(write)]
}
