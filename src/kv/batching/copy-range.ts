import { KeyValue } from '../../core/key-value.js'
import type { RangeResponse } from '../../protobuf/generated/messages.js'
import type { OperationAnswer } from './group-txn.js'

/** The same answer for another caller: its key-value pairs are objects of their own, over the same bytes. */
export function copyRange(answer: OperationAnswer): OperationAnswer {
  return 'kvs' in answer ? { ...answer, kvs: answer.kvs.map(copyOf) } : answer
}

function copyOf(kv: RangeResponse['kvs'][number]): KeyValue {
  return Object.assign(new KeyValue(), kv)
}
