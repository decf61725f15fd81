import { EtcdError } from '../core/errors.js'
import { methods } from '../protobuf/methods.js'

/** The purpose of a stream. `slow watch`: a separate stream for a watch whose consumer does not keep up. */
export type StreamPurpose = 'keep-alive' | 'watch' | 'call' | 'slow watch'

/** How many streams the member allows on a connection, and how many of them are reserved for unary calls. */
export interface StreamLimit {
  readonly maxStreams: number
  readonly unarySlots: number
}

/** The streams and calls that use slots. */
export interface TakenSlots {
  readonly streamPurposes: readonly StreamPurpose[]
  /** Unary calls that block until another client acts. */
  readonly blockingCalls: number
}

/** Keep-alives without a response are repeated on up to two more streams. */
const keepAliveHedges = 2

/**
 * The stream slots on the connection to one member, which may allow few (`--max-concurrent-streams`). A stream beyond the limit
 * would wait in the connection silently, so none is opened without a slot. One slot is reserved for unary calls that share the
 * connection, one for keep-alives, and one for the stream that watches share. The remaining ones are for calls that are streams
 * (of two slots, the one of watches while it is free). What remains if keep-alives use all of theirs is for slow watches.
 */
export class StreamSlots {
  readonly maxStreams: number
  readonly #slots: number
  /** Streams that are open. */
  readonly open: number
  readonly #taken: readonly StreamPurpose[]
  readonly #blockingCalls: number
  readonly #isShared: boolean

  constructor({ maxStreams, unarySlots }: StreamLimit, { streamPurposes, blockingCalls }: TakenSlots) {
    this.maxStreams = maxStreams
    this.#slots = maxStreams - unarySlots
    this.open = streamPurposes.length
    this.#isShared = unarySlots > 0
    this.#blockingCalls = blockingCalls
    // A blocking call occupies a stream for as long as a stream does.
    const waiting = Array.from({ length: this.#isShared ? blockingCalls : 0 }, (): StreamPurpose => 'call')
    this.#taken = [...streamPurposes, ...waiting]
  }

  /** Whether there is a slot for a unary call that blocks until another client acts, and one more for calls that do not. */
  get hasForBlockingCall(): boolean {
    return this.#isShared ? this.has('call') : this.#blockingCalls < this.maxStreams - 1
  }

  /** Whether there is a slot for one more stream. */
  has(purpose: StreamPurpose): boolean {
    if (this.#taken.length >= this.#slots) return false
    switch (purpose) {
      case 'keep-alive':
        return true
      case 'watch':
        return this.#count('watch', 'call', 'slow watch') < this.#slots - 1
      case 'call':
        return (
          this.#count('watch', 'call', 'slow watch') < this.#slots - 1 &&
          this.#count('call', 'slow watch') < Math.max(1, this.#slots - 2)
        )
      case 'slow watch':
        return this.#count('call', 'slow watch') < this.#slots - 2 - keepAliveHedges
    }
  }

  #count(...purposes: readonly StreamPurpose[]): number {
    return this.#taken.filter((purpose) => purposes.includes(purpose)).length
  }
}

/** Whether a unary call blocks until another client acts. */
export function isBlockingCall({ path }: { readonly path: string }): boolean {
  return path === methods.Lock.Lock.path || path === methods.Election.Campaign.path
}

/** The error of a stream for which no member has a slot; `retryable` where opening it is retried until there is one. */
export function noStreamSlot(
  { maxStreams }: StreamSlots,
  purpose: StreamPurpose,
  endpoint: string,
  retryable = true,
): EtcdError {
  const allowed = `the member allows ${maxStreams} ${maxStreams === 1 ? 'stream' : 'streams'} on a connection`
  return new EtcdError(`${allowed} (--max-concurrent-streams), no slot is left for ${purposeText[purpose]}`, {
    code: 'STREAM_LIMIT',
    effect: 'none',
    retryable,
    endpoint,
  })
}

const purposeText: Readonly<Record<StreamPurpose, string>> = {
  'keep-alive': 'lease keep-alives',
  watch: 'watches',
  call: 'another stream or blocking call',
  'slow watch': 'a separate stream of a slow watch',
}
