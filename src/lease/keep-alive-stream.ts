import { EtcdError } from '../core/errors.js'
import type { LeaseKeepAliveResponse, ResponseHeader } from '../gen/messages.js'
import type { OpenStream, StreamSource } from '../layers/stream-source.js'
import type { StreamListener } from '../transport/stream-call.js'
import { methods } from '../wire/methods.js'
import type { Renewal } from './renewal.js'

/** What happens on a keep-alive stream, for who keeps the leases. */
export interface KeepAliveStreamHost {
  /** Takes in the header of an answer. Returns the error of one that belongs to another cluster. */
  observe(header: ResponseHeader | undefined, endpoint: string): EtcdError | undefined
  opened(stream: KeepAliveStream): void
  /** A member has answered; a TTL of 0 tells that there is no such lease. */
  answered(stream: KeepAliveStream, renewal: Renewal, ttlSeconds: number, sentAt: number): void
  /** The stream is over, or could not be opened. */
  lost(stream: KeepAliveStream, error: unknown): void
  /** The stream will be over in some seconds. */
  leaving(stream: KeepAliveStream): void
}

/** One gRPC stream that renews any number of leases. The member answers strictly in the order of the requests. */
export class KeepAliveStream implements StreamListener<LeaseKeepAliveResponse> {
  readonly #host: KeepAliveStreamHost
  readonly #abort = new AbortController()
  /** What was not answered yet, with the time at which it was sent, in order. */
  readonly #pending = new Map<Renewal, number>()
  #open: OpenStream<Parameters<typeof methods.Lease.LeaseKeepAlive.encode>[0], LeaseKeepAliveResponse> | undefined
  #heardAt = 0

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
  get unanswered(): Renewal | undefined {
    return this.#pending.keys().next().value
  }

  /** Since when an answer is owed and nothing has come; `undefined` while none is owed. */
  get silentSince(): number | undefined {
    const oldest = this.#pending.values().next().value
    return oldest === undefined ? undefined : Math.max(oldest, this.#heardAt)
  }

  async open(source: Pick<StreamSource, 'open'>, failedOn: Set<string>): Promise<void> {
    try {
      this.#open = await source.open(methods.Lease.LeaseKeepAlive, this, { signal: this.#abort.signal, failedOn })
      this.#host.opened(this)
    } catch (error) {
      if (!this.#abort.signal.aborted) this.#host.lost(this, error)
    }
  }

  isPending(renewal: Renewal): boolean {
    return this.#pending.has(renewal)
  }

  send(renewal: Renewal, now: number): void {
    if (this.#open === undefined) return
    this.#pending.set(renewal, now)
    this.#open.call.send({ ID: renewal.id })
  }

  /** This process itself did not listen: the member gets its time anew. */
  excuse(now: number): void {
    this.#heardAt = now
  }

  close(): void {
    this.#abort.abort()
    this.#open?.call.cancel()
  }

  onMessage({ header, ID, TTL }: LeaseKeepAliveResponse): void {
    const foreign = this.#host.observe(header, this.endpoint ?? '')
    if (foreign !== undefined) {
      this.close()
      this.#host.lost(this, foreign)
      return
    }
    this.#heardAt = performance.now()
    for (const [renewal, sentAt] of this.#pending) {
      if (renewal.id !== ID) continue
      this.#pending.delete(renewal)
      this.#host.answered(this, renewal, TTL, sentAt)
      return
    }
  }

  onEnd(error: EtcdError | undefined): void {
    this.#abort.abort()
    this.#host.lost(this, error ?? ended(this.endpoint))
  }

  onLeaving(): void {
    this.#host.leaving(this)
  }
}

function ended(endpoint: string | undefined): EtcdError {
  return new EtcdError('the member ended the keep-alive stream', {
    code: 'CONNECTION_LOST',
    effect: 'none',
    retryable: true,
    endpoint,
    method: 'Lease.LeaseKeepAlive',
  })
}
