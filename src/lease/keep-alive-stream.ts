import { EtcdError } from '../core/errors.js'
import type { LeaseKeepAliveResponse, ResponseHeader } from '../protobuf/generated/messages.js'
import { methods } from '../protobuf/methods.js'
import type { OpenStream, StreamSource } from '../streams/stream-source.js'
import type { StreamListener } from '../transport/connection/stream-call.js'
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
  /** The stream will be over in some seconds. */
  leaving(stream: KeepAliveStream): void
}

/** A renewal that was sent and not answered yet. */
interface PendingRenewal {
  readonly sentAt: number
  /** The highest raft term that was known when it was sent. */
  readonly raftTerm: number
}

/** One gRPC stream that renews any number of leases. The member answers strictly in the order of the requests. */
export class KeepAliveStream implements StreamListener<LeaseKeepAliveResponse> {
  readonly #host: KeepAliveStreamHost
  readonly #abort = new AbortController()
  /** In the order of sending. */
  readonly #pending = new Map<KeepAliveTarget, PendingRenewal>()
  #open: OpenStream<Parameters<typeof methods.Lease.LeaseKeepAlive.encode>[0], LeaseKeepAliveResponse> | undefined
  #lastMessageAt = 0

  constructor(host: KeepAliveStreamHost) {
    this.#host = host
  }

  /** The member that it is on; `undefined` before it is open. */
  get endpoint(): string | undefined {
    return this.#open?.call.endpoint
  }

  /** The open stream, for its token. */
  get opened(): OpenStream | undefined {
    return this.#open as OpenStream | undefined
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

  async open(source: Pick<StreamSource, 'open'>, excludedEndpoints: Set<string>): Promise<void> {
    const { signal } = this.#abort
    try {
      const open = await source.open(methods.Lease.LeaseKeepAlive, this, {
        signal,
        excludedEndpoints,
        purpose: 'keep-alive',
      })
      this.#open = open
      // It may have been closed while it was opened: nothing else would end it then, neither here nor in the member.
      if (signal.aborted) open.call.cancel()
      else this.#host.opened(this)
    } catch (error) {
      if (!signal.aborted) this.#host.lost(this, error)
    }
  }

  isPending(renewal: KeepAliveTarget): boolean {
    return this.#pending.has(renewal)
  }

  send(renewal: KeepAliveTarget, now: number): void {
    if (this.#open === undefined) return
    this.#pending.set(renewal, { sentAt: now, raftTerm: this.#host.raftTerm })
    this.#open.call.send({ ID: renewal.id })
  }

  /** This process itself did not listen: the member gets its time anew. */
  excuse(now: number): void {
    this.#lastMessageAt = now
  }

  close(): void {
    this.#abort.abort()
    this.#open?.call.cancel()
  }

  onMessage({ header, ID, TTL }: LeaseKeepAliveResponse): void {
    this.#lastMessageAt = performance.now()
    for (const [renewal, { sentAt, raftTerm }] of this.#pending) {
      if (renewal.id !== ID) continue
      this.#pending.delete(renewal)
      if (isDeposed(header, raftTerm)) this.#giveUp(deposed(this.endpoint))
      else this.#host.answered(this, renewal, TTL, sentAt)
      return
    }
  }

  onEnd(error: EtcdError | undefined): void {
    this.#abort.abort()
    this.#host.lost(this, error ?? ended(this.endpoint))
  }

  onDraining(): void {
    this.#host.leaving(this)
  }

  #giveUp(error: EtcdError): void {
    this.close()
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

function deposed(endpoint: string | undefined): EtcdError {
  return lostStream('the member renews leases in a raft term that is over', endpoint)
}

function ended(endpoint: string | undefined): EtcdError {
  return lostStream('the member ended the keep-alive stream', endpoint)
}

function lostStream(message: string, endpoint: string | undefined): EtcdError {
  return new EtcdError(message, {
    code: 'CONNECTION_LOST',
    effect: 'none',
    retryable: true,
    endpoint,
    method: methods.Lease.LeaseKeepAlive.name,
  })
}
