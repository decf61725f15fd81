import type { KeyValue } from '../core/key-value.js'
import type { RangeRequest, RangeResponse } from '../protobuf/generated/messages.js'

/** Reads ranges as streams of one member, which etcd has since 3.7. */
export interface RangeStreams {
  /** Whether the member may be asked: it has not refused to stream lately. */
  serves(endpoint: string): boolean
  /** The parts of the answer, in key order; the last one alone has a header. Leaving the iteration ends the stream. */
  read(request: RangeRequest, endpoint: string, signal: AbortSignal): AsyncIterable<RangeResponse>
}

/** What is to be read, and from whom. */
export interface StreamPlan {
  readonly streams: RangeStreams
  /** It names a revision: the parts themselves do not say theirs. */
  readonly request: RangeRequest
  readonly endpoint: string
  /** Silence after which the member is given up. */
  readonly silenceMs: number
  readonly signal: AbortSignal
}

/** Some of the keys, and whether there are none after them. */
export interface StreamedPart {
  readonly kvs: KeyValue[]
  readonly isLast: boolean
}

/**
 * The parts of a streamed range. It never throws: a stream that is refused, breaks off or falls silent just ends before its
 * last part, and the caller goes on from there with single pages, which tell the reason if it lasts.
 */
export async function* streamedParts(plan: StreamPlan): AsyncGenerator<StreamedPart, void, undefined> {
  const { streams, request, endpoint, silenceMs, signal } = plan
  const over = new AbortController()
  const parts = streams.read(request, endpoint, AbortSignal.any([signal, over.signal]))[Symbol.asyncIterator]()
  try {
    for (;;) {
      const part = await within(silenceMs, parts.next())
      if (part === undefined || part.done === true) return
      yield { kvs: part.value.kvs, isLast: part.value.header !== undefined }
    }
  } catch {
    // The caller's next page finds out whether this was only the stream's trouble.
  } finally {
    over.abort()
  }
}

/** What the promise resolves to, or `undefined` when it takes too long. */
async function within<Value>(ms: number, promise: Promise<Value>): Promise<Value | undefined> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), ms)
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}
