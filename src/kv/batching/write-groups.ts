import type {
  DeleteRangeRequest,
  DeleteRangeResponse,
  PutRequest,
  PutResponse,
} from '../../protobuf/generated/messages.js'
import type { CallContext, Transport } from '../../transport/transport.js'
import type { KvService } from '../kv-service.js'
import { deleteOperation, putOperation } from './batch-operation.js'
import { BatchedCall } from './batched-call.js'
import { WriteBatcher, type WriteBatcherOptions } from './write-batcher.js'

export interface WriteGroupOptions extends WriteBatcherOptions {
  /** Called when a write of the groups has ended, before its caller learns of it: with the response, unless it failed. */
  readonly onWritten?: (
    request: PutRequest | DeleteRangeRequest,
    response: PutResponse | DeleteRangeResponse | undefined,
  ) => void
}

/**
 * Makes the puts and deletions of single keys that are requested at the same time one transaction, which is sent on
 * `transport`. They share a revision and are applied together or not at all; each caller has its response, error, signal
 * and deadline. A group that is refused with nothing done is repeated write by write, so that only the offending one
 * fails. A group whose outcome is unknown is never sent again, and each of its writes has an unknown effect.
 */
export function withWriteGroups(inner: KvService, transport: Transport, options: WriteGroupOptions): KvService {
  const batcher = new WriteBatcher(transport, options)
  const { onWritten } = options
  return {
    ...inner,
    put: (request, context) => {
      if (hasEnded(context)) return inner.put(request, context)
      const call = new BatchedCall(putOperation, request, context, onWritten)
      batcher.addPut(keyOf(request), call)
      return call.settled
    },
    deleteRange: (request, context) => {
      if (hasEnded(context) || !isOneKey(request)) return inner.deleteRange(request, context)
      const call = new BatchedCall(deleteOperation, request, context, onWritten)
      batcher.addDeletion(keyOf(request), call)
      return call.settled
    },
  }
}

function hasEnded({ signal, deadlineAt, startedAt }: CallContext): boolean {
  return signal?.aborted === true || deadlineAt <= startedAt
}

function isOneKey({ rangeEnd }: DeleteRangeRequest): boolean {
  return rangeEnd === undefined || rangeEnd.length === 0
}

function keyOf({ key }: PutRequest | DeleteRangeRequest): string {
  return key === undefined ? '' : Buffer.prototype.latin1Slice.call(key)
}
