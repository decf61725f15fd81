import { EtcdError } from '../../core/errors.js'
import { isBlockingCall, type StreamPurpose } from '../stream-slots.js'
import { stalledTokenError } from './member-probe.js'
import type { StreamCall } from './stream-call.js'
import type { UnaryAttempt } from './unary-attempt.js'

/** Requests above this size take their time on a slow link. */
const largeRequestBytes = 64 * 1024
/** Half of 2 Mbit/s: what a link is thought to carry at least. */
const minLinkBytesPerMs = 125

/** What is under way on one connection, and the errors that it ends with when the connection does. */
export class InFlightCalls {
  readonly #url: string
  readonly #attempts = new Set<UnaryAttempt>()
  readonly #streams = new Set<StreamCall>()

  constructor(url: string) {
    this.#url = url
  }

  /** Unary calls under way. */
  get count(): number {
    return this.#attempts.size
  }

  /**
   * Until when large requests may be on their way, during which the member may have nothing to say: it acknowledges what it
   * has got a window's quarter at a time, which can be a MiB.
   */
  get largeRequestsUntil(): number {
    let [bytes, since] = [0, Number.POSITIVE_INFINITY]
    for (const { context, sentAt } of this.#attempts) {
      const size = context.progress.message?.length ?? 0
      if (size < largeRequestBytes) continue
      bytes += size
      since = Math.min(since, sentAt)
    }
    return bytes === 0 ? Number.NEGATIVE_INFINITY : since + bytes / minLinkBytesPerMs
  }

  /** Unary calls that wait for other clients. */
  get blockingCalls(): number {
    let waiting = 0
    for (const { method } of this.#attempts) if (isBlockingCall(method)) waiting += 1
    return waiting
  }

  /** What the streams that are open are for. */
  get streamPurposes(): StreamPurpose[] {
    return Array.from(this.#streams, ({ purpose }) => purpose)
  }

  addAttempt(attempt: UnaryAttempt): void {
    this.#attempts.add(attempt)
  }

  addStream(stream: StreamCall): void {
    this.#streams.add(stream)
  }

  attemptEnded(attempt: UnaryAttempt): void {
    this.#attempts.delete(attempt)
  }

  streamEnded(stream: StreamCall): void {
    this.#streams.delete(stream)
  }

  /** Gives everything up because of `reason`, or because the connection was lost; each call with an error of its own. */
  failAll(reason: (() => EtcdError) | undefined): void {
    for (const attempt of this.#attempts) {
      attempt.cancel(reason?.() ?? connectionLost('the connection was given up', this.#url, attempt.method.name))
    }
    this.failStreams(reason)
  }

  /** Gives the calls up that may be sent again elsewhere. */
  failRepeatable(): void {
    for (const attempt of this.#attempts) {
      if (!attempt.context.repeatable) continue
      attempt.cancel(connectionLost('the member stopped answering', this.#url, attempt.method.name))
    }
  }

  /** Gives the calls up that wait with this token and may be sent again with another one. */
  failWithToken(token: string): void {
    for (const attempt of this.#attempts) {
      if (!attempt.context.repeatable || attempt.context.progress.token !== token) continue
      attempt.cancel(stalledTokenError({ effect: 'unknown', endpoint: this.#url, method: attempt.method.name }))
    }
  }

  failStreams(reason: (() => EtcdError) | undefined): void {
    for (const stream of this.#streams) {
      stream.fail(reason?.() ?? connectionLost('the connection was given up', this.#url, stream.method.name))
    }
  }

  /** Gives up the proposals that were sent before `raisedAt`, when the term rose: their leader is gone. */
  failProposals(raisedAt: number): void {
    for (const attempt of this.#attempts) {
      if (!attempt.context.proposal || attempt.sentAt >= raisedAt) continue
      attempt.cancel(
        new EtcdError('a leader was elected while the write was under way, and no answer came', {
          code: 'LEADER_LOST',
          effect: 'unknown',
          retryable: true,
          endpoint: this.#url,
          method: attempt.method.name,
        }),
      )
    }
  }

  /** Tells the streams that the member will end them soon. */
  notifyDraining(): void {
    for (const stream of this.#streams) stream.draining()
  }
}

function connectionLost(message: string, endpoint: string, method: string): EtcdError {
  return new EtcdError(message, { code: 'CONNECTION_LOST', effect: 'unknown', retryable: true, endpoint, method })
}
