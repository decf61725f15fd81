import type { RangeRequest, RangeResponse } from '../../protobuf/generated/messages.js'
import { rangeInNamespace, stripPrefix } from './namespace-range.js'

/** What is wrapped: streams of ranges. */
interface RangeStreams {
  serves(endpoint: string): boolean
  read(request: RangeRequest, endpoint: string, signal: AbortSignal): AsyncIterable<RangeResponse>
}

/** Streams of ranges within a namespace. */
export function namespaceRangeStreams(prefix: Buffer, streams: RangeStreams): RangeStreams {
  return {
    serves: (endpoint) => streams.serves(endpoint),
    async *read(request, endpoint, signal) {
      for await (const part of streams.read(rangeInNamespace(prefix, request), endpoint, signal)) {
        for (const kv of part.kvs) kv.key = stripPrefix(prefix, kv.key)
        yield part
      }
    },
  }
}
