import { EtcdError } from '../core/errors.js'
import { methods } from '../protobuf/methods.js'

/** What a stream is for. `slow watch`: watches that have a stream of their own because their consumer does not keep up. */
export type StreamPurpose = 'keep-alive' | 'watch' | 'call' | 'slow watch'

/** How many streams the member allows on a connection, and how many of them unary calls must find free there. */
export interface StreamLimit {
  readonly maxStreams: number
  readonly unarySlots: number
}

/** What has a place on the connection to a member. */
export interface TakenSlots {
  readonly streamPurposes: readonly StreamPurpose[]
  /** Unary calls that wait for other clients, for as long as it takes. */
  readonly blockingCalls: number
}

/** Renewals that stay unanswered go out on two more streams. */
const keepAliveHedges = 2

/**
 * The places for streams on the connection to one member, which may allow few (`--max-concurrent-streams`). What exceeds
 * them waits in the connection without a sign, so nothing is opened that has no place: one is kept for unary calls where
 * they share the connection, one for keep-alives and one for the stream that watches share. What is left is for calls that
 * are streams (with two places, that of the watches, as long as it is free), and what would still be left if keep-alives needed all of theirs for watches that do not keep up.
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
    // Such a call is as good as a stream to the others on its connection.
    const waiting = Array.from({ length: this.#isShared ? blockingCalls : 0 }, (): StreamPurpose => 'call')
    this.#taken = [...streamPurposes, ...waiting]
  }

  /** Whether there is a place for a unary call that waits for other clients: another one is left for calls that do not. */
  get hasForBlockingCall(): boolean {
    return this.#isShared ? this.has('call') : this.#blockingCalls < this.maxStreams - 1
  }

  /** Whether there is a place for one more. */
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

/** Whether a unary call waits for other clients, for as long as it takes. */
export function isBlockingCall({ path }: { readonly path: string }): boolean {
  return path === methods.Lock.Lock.path || path === methods.Election.Campaign.path
}

/** The error of a stream that has no place on any member; `retryable` where it is tried again until there is one. */
export function noStreamSlot(
  { maxStreams }: StreamSlots,
  purpose: StreamPurpose,
  endpoint: string,
  retryable = true,
): EtcdError {
  const allowed = `the member allows ${maxStreams} ${maxStreams === 1 ? 'stream' : 'streams'} on a connection`
  return new EtcdError(`${allowed} (--max-concurrent-streams), and there is no place for ${purposeText[purpose]}`, {
    code: 'STREAM_LIMIT',
    effect: 'none',
    retryable,
    endpoint,
  })
}

const purposeText: Readonly<Record<StreamPurpose, string>> = {
  'keep-alive': 'the renewal of leases',
  watch: 'watches',
  call: 'another call that lasts',
  'slow watch': 'a stream of a watch that does not keep up',
}
