import type { KeyValue } from '../core/key-value.js'
import type { RangeRequest, RangeResponse } from '../protobuf/generated/messages.js'

/** Reads ranges as streams of one member, which etcd supports since 3.7. */
export interface RangeStreams {
  /** Whether the member supports streams, as far as it is known. */
  serves(endpoint: string): boolean
  /** The parts of the response in key order; only the last one has a header. Leaving the iteration ends the stream. */
  read(request: RangeRequest, endpoint: string, signal: AbortSignal): AsyncIterable<RangeResponse>
}

/** The range to read, and the member to read it from. */
export interface StreamPlan {
  readonly streams: RangeStreams
  /** The request names a revision, which the parts do not contain. */
  readonly request: RangeRequest
  readonly endpoint: string
  /** The silence after which the stream is given up. */
  readonly silenceMs: number
  readonly signal: AbortSignal
}

/** Some of the keys, and whether they are the last ones. */
export interface StreamedPart {
  readonly kvs: KeyValue[]
  readonly isLast: boolean
}

/**
 * The parts of a streamed range. It never throws: a stream that is refused, fails or stays silent ends before its last part,
 * and the caller continues with single pages, which fail with the reason if it persists.
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
    // The caller's next page shows whether only the stream had a problem.
  } finally {
    over.abort()
  }
}

/** The result of the promise, or `undefined` after a timeout. */
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
