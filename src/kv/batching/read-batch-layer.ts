import type { RangeRequest } from '../../protobuf/generated/messages.js'
import { type Method, methods } from '../../protobuf/methods.js'
import type { CallContext, Layer, Route, Transport } from '../../transport/transport.js'
import { BatchedCall, type OperationMethod } from './batched-call.js'
import { type OperationAnswer, operationTag } from './group-txn.js'
import { ReadLane, type ReadLaneOptions } from './read-lane.js'

/**
 * Makes reads of single keys that are asked for at the same time one transaction of reads. It costs the cluster one
 * request and this process one call instead of many, and shows nowhere else: each caller has its own answer, error, signal
 * and deadline.
 *
 * Reads of ranges go by themselves, since the member counts all keys of the range, which the other reads would wait for;
 * so do reads of a past revision, which can be compacted under the transaction. Serializable reads of any kind that ask
 * for the same share one call while it is under way.
 */
export function readBatchLayer(options: ReadLaneOptions): Layer {
  return (inner) => new ReadBatchTransport(inner, options)
}

class ReadBatchTransport implements Transport {
  readonly #inner: Transport
  readonly #options: ReadLaneOptions
  readonly #linearizable = new Map<Route['prefer'], ReadLane>()
  readonly #serializable = new Map<Route['prefer'], ReadLane>()

  constructor(inner: Transport, options: ReadLaneOptions) {
    this.#inner = inner
    this.#options = options
  }

  unary<Request, Response>(
    method: Method<Request, Response>,
    request: Request,
    context: CallContext,
  ): Promise<Response> {
    const mayShare = (method as unknown) === methods.KV.Range && isFree(context)
    const mayBatch = mayShare && isOneKeyNow(request as RangeRequest)
    if (!mayBatch && !(mayShare && context.route.serializable)) return this.#inner.unary(method, request, context)
    // The method is KV.Range, hence these are its messages.
    return this.#join(method as OperationMethod, request, context, mayBatch) as Promise<never>
  }

  #join(method: OperationMethod, request: unknown, context: CallContext, mayBatch: boolean): Promise<OperationAnswer> {
    try {
      const call = new BatchedCall(method, request, context, operationTag.range)
      const lane = this.#lane(context.route)
      if (mayBatch) lane.join(call)
      else lane.joinAlone(call)
      return call.settled
    } catch (error) {
      // A request that the wire cannot hold.
      return Promise.reject(error)
    }
  }

  #lane({ serializable, prefer }: Route): ReadLane {
    const lanes = serializable ? this.#serializable : this.#linearizable
    let lane = lanes.get(prefer)
    if (lane === undefined) {
      lane = new ReadLane(this.#inner, { serializable, prefer, endpoint: undefined }, this.#options)
      lanes.set(prefer, lane)
    }
    return lane
  }
}

/** A call that has been somewhere already is sent where it has not been; one that is over is sent nowhere. */
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
