import type { LeaseKeepAliveRequest, LeaseKeepAliveResponse, ResponseHeader } from '../protobuf/generated/messages.js'
import { methods } from '../protobuf/methods.js'
import { BidiStream } from '../streams/bidi-stream.js'
import type { KeepAliveTarget } from './keep-alive-target.js'

/** The events of a keep-alive stream, for its owner. */
export interface KeepAliveStreamHost {
  /** The highest raft term in any response to this client; 0 if none is known. */
  readonly raftTerm: number
  opened(stream: KeepAliveStream): void
  /** The member has answered a renewal; a TTL of 0 means that the lease does not exist. */
  answered(stream: KeepAliveStream, renewal: KeepAliveTarget, ttlSeconds: number, sentAt: number): void
  /** The stream has ended, or could not be opened. */
  lost(stream: KeepAliveStream, error: unknown): void
  /** The member will end the stream within seconds. */
  draining(stream: KeepAliveStream): void
}

/** A renewal that was sent and is not answered yet. */
interface PendingRenewal {
  readonly sentAt: number
  /** The highest raft term that was known when it was sent. */
  readonly raftTerm: number
}

/** One gRPC stream that renews any number of leases. The member answers strictly in the order of the requests. */
export class KeepAliveStream extends BidiStream<LeaseKeepAliveRequest, LeaseKeepAliveResponse> {
  readonly #host: KeepAliveStreamHost
  /** In the order of sending. */
  readonly #pending = new Map<KeepAliveTarget, PendingRenewal>()
  #lastMessageAt = 0

  constructor(host: KeepAliveStreamHost) {
    super(methods.Lease.LeaseKeepAlive, 'keep-alive')
    this.#host = host
  }

  /** The first unanswered renewal: the member was processing it when it ended the stream. */
  get unanswered(): KeepAliveTarget | undefined {
    return this.#pending.keys().next().value
  }

  /** Since when the member has not answered a pending renewal; `undefined` if none is pending. */
  get silentSince(): number | undefined {
    const oldest = this.#pending.values().next().value
    return oldest === undefined ? undefined : Math.max(oldest.sentAt, this.#lastMessageAt)
  }

  isPending(renewal: KeepAliveTarget): boolean {
    return this.#pending.has(renewal)
  }

  send(renewal: KeepAliveTarget, now: number): void {
    if (this.call === undefined) return
    this.#pending.set(renewal, { sentAt: now, raftTerm: this.#host.raftTerm })
    this.call.send({ ID: renewal.id })
  }

  /** This process did not run: the time until now does not count as silence. */
  excuse(now: number): void {
    this.#lastMessageAt = now
  }

  onMessage({ header, ID, TTL }: LeaseKeepAliveResponse): void {
    this.#lastMessageAt = performance.now()
    for (const [renewal, { sentAt, raftTerm }] of this.#pending) {
      if (renewal.id !== ID) continue
      this.#pending.delete(renewal)
      if (isDeposed(header, raftTerm)) this.fail('the member renews leases in an earlier raft term')
      else this.#host.answered(this, renewal, TTL, sentAt)
      return
    }
  }

  onDraining(): void {
    this.#host.draining(this)
  }

  protected onOpen(): void {
    this.#host.opened(this)
  }

  protected onLost(error: unknown): void {
    this.#host.lost(this, error)
  }
}

/**
 * A leader that was frozen or isolated may answer renewals after another one was elected, which does not know of them. The
 * member sets its term when the request arrives, so it is compared with the term that was known when the request was sent.
 * A proxy sets no term.
 */
function isDeposed(header: ResponseHeader | undefined, raftTerm: number): boolean {
  return header !== undefined && header.raftTerm !== 0 && header.raftTerm < raftTerm
}
