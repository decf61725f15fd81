import type { LeaseKeepAliveRequest, LeaseKeepAliveResponse, ResponseHeader } from '../protobuf/generated/messages.js'
import { methods } from '../protobuf/methods.js'
import { BidiStream } from '../streams/bidi-stream.js'
import type { KeepAliveTarget } from './keep-alive-target.js'

/** What happens on a keep-alive stream, for its owner. */
export interface KeepAliveStreamHost {
  /** The highest raft term that any answer has shown to this client; 0 while none is known. */
  readonly raftTerm: number
  opened(stream: KeepAliveStream): void
  /** A member has answered; a TTL of 0 means that the lease does not exist. */
  answered(stream: KeepAliveStream, renewal: KeepAliveTarget, ttlSeconds: number, sentAt: number): void
  /** The stream is over, or could not be opened. */
  lost(stream: KeepAliveStream, error: unknown): void
  /** The member will end the stream within seconds. */
  draining(stream: KeepAliveStream): void
}

/** A renewal that was sent and not answered yet. */
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

  /** The first that was not answered: what the member was at when it ended the stream. */
  get unanswered(): KeepAliveTarget | undefined {
    return this.#pending.keys().next().value
  }

  /** Since when an answer is owed and nothing has come; `undefined` while none is owed. */
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

  /** This process itself did not listen: the member gets its time anew. */
  excuse(now: number): void {
    this.#lastMessageAt = now
  }

  onMessage({ header, ID, TTL }: LeaseKeepAliveResponse): void {
    this.#lastMessageAt = performance.now()
    for (const [renewal, { sentAt, raftTerm }] of this.#pending) {
      if (renewal.id !== ID) continue
      this.#pending.delete(renewal)
      if (isDeposed(header, raftTerm)) this.fail('the member renews leases in a raft term that is over')
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
 * A leader that was frozen or cut off may answer renewals after another one was elected, which knows nothing of them. The
 * member fills in its term when the request arrives, so it is compared with what was known when that was sent. A proxy
 * fills in none.
 */
function isDeposed(header: ResponseHeader | undefined, raftTerm: number): boolean {
  return header !== undefined && header.raftTerm !== 0 && header.raftTerm < raftTerm
}
