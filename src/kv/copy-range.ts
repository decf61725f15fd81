import { KeyValue } from '../core/key-value.js'
import type { RangeResponse } from '../protobuf/generated/messages.js'

/** The same response for another caller, who may change it: its key-value pairs are new objects over the same bytes. */
export function copyRange(response: RangeResponse): RangeResponse {
  return { ...response, kvs: response.kvs.map((kv) => Object.assign(new KeyValue(), kv)) }
}
