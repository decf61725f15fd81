import type { RangeRequest, RangeResponse } from '../../protobuf/generated/messages.js'
import type { CallContext, Route, Transport } from '../../transport/transport.js'
import type { KvService } from '../kv-service.js'
import { rangeOperation } from './batch-operation.js'
import { BatchedCall } from './batched-call.js'
import { ReadBatcher, type ReadBatcherOptions } from './read-batcher.js'

/**
 * Makes the reads of single keys that are requested at the same time one transaction, which is sent on `transport`. It
 * costs the cluster one request and this process one call instead of many, and is not visible otherwise: each caller has
 * its response, error, signal and deadline.
 *
 * Reads of ranges are not batched: the member counts all keys of the range, and the other reads would wait for that.
 * Neither are reads of a past revision, which can be compacted under the transaction. Equal serializable reads of any kind
 * share one call while it is in flight.
 */
export function withReadBatches(inner: KvService, transport: Transport, options: ReadBatcherOptions): KvService {
  const batches = new ReadBatches(transport, options)
  return {
    ...inner,
    range: (request, context) => {
      if (!isFree(context)) return inner.range(request, context)
      if (isOneKeyNow(request)) return batches.read(request, context, true)
      return context.route.serializable ? batches.read(request, context, false) : inner.range(request, context)
    },
  }
}

/** The batchers of a client: one for the reads that the same members can serve. */
class ReadBatches {
  readonly #transport: Transport
  readonly #options: ReadBatcherOptions
  readonly #linearizable = new Map<Route['prefer'], ReadBatcher>()
  readonly #serializable = new Map<Route['prefer'], ReadBatcher>()

  constructor(transport: Transport, options: ReadBatcherOptions) {
    this.#transport = transport
    this.#options = options
  }

  read(request: RangeRequest, context: CallContext, mayBatch: boolean): Promise<RangeResponse> {
    const call = new BatchedCall(rangeOperation, request, context)
    const batcher = this.#batcher(context.route)
    if (mayBatch) batcher.add(call)
    else batcher.addAlone(call)
    return call.settled
  }

  #batcher({ serializable, prefer }: Route): ReadBatcher {
    const batchers = serializable ? this.#serializable : this.#linearizable
    let batcher = batchers.get(prefer)
    if (batcher === undefined) {
      batcher = new ReadBatcher(this.#transport, { serializable, prefer, endpoint: undefined }, this.#options)
      batchers.set(prefer, batcher)
    }
    return batcher
  }
}

/** A call that excludes members is sent to one of the others; a call that has ended is sent nowhere. */
function isFree({ route, excludedEndpoints, signal, deadlineAt, startedAt }: CallContext): boolean {
  return (
    route.endpoint === undefined &&
    excludedEndpoints === undefined &&
    signal?.aborted !== true &&
    deadlineAt > startedAt
  )
}

function isOneKeyNow({ rangeEnd, revision }: RangeRequest): boolean {
  return (rangeEnd === undefined || rangeEnd.length === 0) && (revision === undefined || revision === 0)
}
