import { EtcdError } from '../../core/errors.js'
import { isBlockingCall, type StreamPurpose } from '../stream-slots.js'
import { stalledTokenError } from './member-probe.js'
import type { StreamCall } from './stream-call.js'
import type { UnaryAttempt } from './unary-attempt.js'

/** Requests above this size may take long to send on a slow link. */
const largeRequestBytes = 64 * 1024
/** 1 Mbit/s: the lowest bandwidth that is assumed for a link. */
const minLinkBytesPerMs = 125

/** The calls and streams on one connection, and the errors that they fail with. */
export class InFlightCalls {
  readonly #url: string
  readonly #attempts = new Set<UnaryAttempt>()
  readonly #streams = new Set<StreamCall>()

  constructor(url: string) {
    this.#url = url
  }

  /** Unary calls in flight. */
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

  /** Unary calls that block until another client acts. */
  get blockingCalls(): number {
    let waiting = 0
    for (const { method } of this.#attempts) if (isBlockingCall(method)) waiting += 1
    return waiting
  }

  /** The purposes of the open streams. */
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

  /** Fails all calls and streams, each with a separate error from `reason`, by default `CONNECTION_LOST`. */
  failAll(reason: (() => EtcdError) | undefined): void {
    for (const attempt of this.#attempts) {
      attempt.cancel(reason?.() ?? connectionLost('the connection was closed', this.#url, attempt.method.name))
    }
    this.failStreams(reason)
  }

  /** Fails the calls that may be retried on another member although the member may have executed them. */
  failRepeatable(): void {
    for (const attempt of this.#attempts) {
      if (!attempt.context.repeatable) continue
      attempt.cancel(connectionLost('the member stopped answering', this.#url, attempt.method.name))
    }
  }

  /** Fails the repeatable calls that were sent with this token, so that they are retried with another one. */
  failWithToken(token: string): void {
    for (const attempt of this.#attempts) {
      if (!attempt.context.repeatable || attempt.context.progress.token !== token) continue
      attempt.cancel(stalledTokenError({ effect: 'unknown', endpoint: this.#url, method: attempt.method.name }))
    }
  }

  failStreams(reason: (() => EtcdError) | undefined): void {
    for (const stream of this.#streams) {
      stream.fail(reason?.() ?? connectionLost('the connection was closed', this.#url, stream.method.name))
    }
  }

  /** Fails the proposals that were sent before `raisedAt`, when the raft term rose: their leader is gone. */
  failProposals(raisedAt: number): void {
    for (const attempt of this.#attempts) {
      if (!attempt.context.proposal || attempt.sentAt >= raisedAt) continue
      attempt.cancel(
        new EtcdError('a leader was elected while the write was in flight, and no response came', {
          code: 'LEADER_LOST',
          effect: 'unknown',
          retryable: true,
          endpoint: this.#url,
          method: attempt.method.name,
        }),
      )
    }
  }

  /** Notifies the streams that the member will end them soon. */
  notifyDraining(): void {
    for (const stream of this.#streams) stream.draining()
  }
}

function connectionLost(message: string, endpoint: string, method: string): EtcdError {
  return new EtcdError(message, { code: 'CONNECTION_LOST', effect: 'unknown', retryable: true, endpoint, method })
}
