import type { DeleteRangeRequest, PutRequest } from '../../protobuf/generated/messages.js'
import { type Method, methods } from '../../protobuf/methods.js'
import type { CallContext, Layer, Transport } from '../../transport/transport.js'
import { BatchedCall, type OperationMethod } from './batched-call.js'
import { type GroupOperation, type OperationAnswer, operationTag } from './group-txn.js'
import { WriteLane, type WriteLaneOptions } from './write-lane.js'

/**
 * Makes puts and deletions of single keys that are asked for at the same time one transaction. They share a revision and
 * are applied together or not at all; each caller has its own answer, error, signal and deadline. A group that is refused
 * with nothing done is made again write by write, so that only the guilty one fails. One whose outcome is not known is
 * never sent again, and leaves each of its writes unknown.
 */
export function writeGroupLayer(options: WriteLaneOptions): Layer {
  return (inner) => new WriteGroupTransport(inner, options)
}

class WriteGroupTransport implements Transport {
  readonly #inner: Transport
  readonly #lane: WriteLane

  constructor(inner: Transport, options: WriteLaneOptions) {
    this.#inner = inner
    this.#lane = new WriteLane(inner, options)
  }

  unary<Request, Response>(
    method: Method<Request, Response>,
    request: Request,
    context: CallContext,
  ): Promise<Response> {
    const tag = tagOf(method, request)
    const isOver = context.signal?.aborted === true || context.deadlineAt <= context.startedAt
    if (tag === undefined || isOver) return this.#inner.unary(method, request, context)
    // The method is one of those that can be operations, hence these are their messages.
    return this.#join(method as OperationMethod, request, context, tag) as Promise<never>
  }

  #join(
    method: OperationMethod,
    request: unknown,
    context: CallContext,
    tag: GroupOperation['tag'],
  ): Promise<OperationAnswer> {
    try {
      const call = new BatchedCall(method, request, context, tag)
      this.#lane.join(keyOf(request as PutRequest), call)
      return call.settled
    } catch (error) {
      // A request that the wire cannot hold.
      return Promise.reject(error)
    }
  }
}

/** What the call would be in a transaction; `undefined` for what is no write of one key. */
function tagOf(method: unknown, request: unknown): GroupOperation['tag'] | undefined {
  if (method === methods.KV.Put) return operationTag.put
  if (method !== methods.KV.DeleteRange) return undefined
  const { rangeEnd } = request as DeleteRangeRequest
  return rangeEnd === undefined || rangeEnd.length === 0 ? operationTag.deleteRange : undefined
}

function keyOf({ key }: PutRequest): string {
  if (key === undefined) return ''
  return Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString('latin1')
}
