import type { EncodedRange } from '../../core/key-range.js'
import type {
  DeleteRangeRequest,
  PutRequest,
  RequestOp,
  ResponseHeader,
  TxnRequest,
} from '../../protobuf/generated/messages.js'
import type { KvService } from '../kv-service.js'
import { requestRange } from '../wire-range.js'
import type { ReadCache } from './read-cache.js'

/** Of a write that has ended, what is known of its revision. */
type WriteResponse = { readonly header: ResponseHeader | undefined } | undefined

/** Reports this client's writes to its read cache, so that no cached answer is older than they are. */
export function withCacheInvalidation(inner: KvService, cache: ReadCache): KvService {
  return {
    ...inner,
    put: (request, context) => afterWrite(cache, inner.put(request, context), request, writtenRange),
    deleteRange: (request, context) => afterWrite(cache, inner.deleteRange(request, context), request, writtenRange),
    txn: (request, context) => {
      const response = inner.txn(request, context)
      return context.proposal ? afterWrite(cache, response, request, writtenByTxn) : response
    },
  }
}

/**
 * Reports a write of one key to the read cache when it ends, not when it starts: whatever has come into the cache
 * meanwhile, an answer to a read or a new copy, may be from before the write. A write that failed may have been applied.
 */
export function writeReporter(cache: ReadCache) {
  return (request: PutRequest | DeleteRangeRequest, response: WriteResponse): void => {
    if (cache.isInUse) cache.invalidate(requestRange(request), response?.header?.revision)
  }
}

function afterWrite<Request, Response extends { readonly header: ResponseHeader | undefined }>(
  cache: ReadCache,
  write: Promise<Response>,
  request: Request,
  rangesOf: (request: Request) => readonly EncodedRange[],
): Promise<Response> {
  // Registered before the caller's handlers, and so called before them.
  write.then(
    ({ header }) => {
      if (cache.isInUse) invalidate(cache, rangesOf(request), header?.revision)
    },
    () => {
      // A write that failed may have been applied all the same.
      if (cache.isInUse) invalidate(cache, rangesOf(request), undefined)
    },
  )
  return write
}

function invalidate(cache: ReadCache, ranges: readonly EncodedRange[], revision: number | undefined): void {
  for (const range of ranges) cache.invalidate(range, revision)
}

function writtenRange(request: PutRequest | DeleteRangeRequest): readonly EncodedRange[] {
  return [requestRange(request)]
}

function writtenByTxn({ success = [], failure = [] }: TxnRequest): readonly EncodedRange[] {
  return [...success, ...failure].flatMap(writtenByOperation)
}

function writtenByOperation({ requestPut, requestDeleteRange, requestTxn }: RequestOp): readonly EncodedRange[] {
  if (requestTxn !== undefined) return writtenByTxn(requestTxn)
  const write = requestPut ?? requestDeleteRange
  return write === undefined ? [] : [requestRange(write)]
}
