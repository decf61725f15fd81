import { type ErrorCode, isEtcdError } from '../core/errors.js'
import { LRUCache } from '../core/lru.js'
import type { RangeRequest, RangeResponse } from '../protobuf/generated/messages.js'
import { methods } from '../protobuf/methods.js'
import { serverStream } from './server-stream.js'
import type { StreamSource } from './stream-source.js'

/** Errors with which the next stream on the same member would fail as well. */
const refusals: ReadonlySet<ErrorCode> = new Set(['UNIMPLEMENTED', 'NOT_SUPPORTED_FOR_LEARNER'])
/** Members are upgraded and learners promoted, so a refusal is forgotten after this time. */
const refusalMs = 10 * 60_000

/** Opens streams of `KV.RangeStream`, and remembers which members do not support it. */
export class RangeStreamSource {
  readonly #source: StreamSource
  readonly #refused = new LRUCache<string, true>({ max: 64, ttl: refusalMs })

  constructor(source: StreamSource) {
    this.#source = source
  }

  /** Whether a stream can be opened on this member now. */
  serves(endpoint: string): boolean {
    return !this.#refused.has(endpoint) && this.#source.hasPlace(endpoint)
  }

  async *read(
    request: RangeRequest,
    endpoint: string,
    signal: AbortSignal,
  ): AsyncGenerator<RangeResponse, void, undefined> {
    try {
      const parts = serverStream(this.#source, methods.KV.RangeStream, request, { signal, endpoint })
      for await (const { rangeResponse } of parts) if (rangeResponse !== undefined) yield rangeResponse
    } catch (error) {
      if (isEtcdError(error) && refusals.has(error.code)) this.#refused.set(endpoint, true)
      throw error
    }
  }
}
