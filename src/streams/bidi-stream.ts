import { EtcdError } from '../core/errors.js'
import type { Method } from '../protobuf/methods.js'
import type { StreamCall, StreamListener } from '../transport/connection/stream-call.js'
import type { StreamPurpose } from '../transport/stream-slots.js'
import type { OpenStream, StreamSource } from './stream-source.js'

/**
 * One bidirectional gRPC stream, opened once and closed once. A subclass gives the meaning of its messages; a
 * `ReconnectingStream` opens the next one when it is lost.
 */
export abstract class BidiStream<Request, Response> implements StreamListener<Response> {
  readonly #method: Method<Request, Response>
  readonly #purpose: StreamPurpose
  readonly #abort = new AbortController()
  #open: OpenStream<Request, Response> | undefined

  constructor(method: Method<Request, Response>, purpose: StreamPurpose) {
    this.#method = method
    this.#purpose = purpose
  }

  /** The member at the other end; `undefined` before the stream is open. */
  get endpoint(): string | undefined {
    return this.#open?.call.endpoint
  }

  /** The open stream with its token; `undefined` before it is open. */
  get opened(): OpenStream | undefined {
    return this.#open as OpenStream | undefined
  }

  /** What messages are sent on; `undefined` before the stream is open. */
  protected get call(): StreamCall<Request, Response> | undefined {
    return this.#open?.call
  }

  /** Whether it was closed or has ended. */
  protected get isClosed(): boolean {
    return this.#abort.signal.aborted
  }

  /** Opens it on a member that is not excluded, where there is a choice. */
  async open(source: Pick<StreamSource, 'open'>, excludedEndpoints: Set<string>): Promise<void> {
    const { signal } = this.#abort
    try {
      const options = { signal, excludedEndpoints, purpose: this.#purpose }
      this.#open = await source.open(this.#method, this, options)
      // It may have been closed, or have ended, while it was being opened: nothing else would end the call then.
      if (signal.aborted) this.#open.call.cancel()
      else this.onOpen()
    } catch (error) {
      if (!signal.aborted) this.onLost(error)
    }
  }

  close(): void {
    this.#abort.abort()
    this.#open?.call.cancel()
  }

  /** Closes a stream that cannot be relied on any more, and reports it as lost. */
  fail(message: string): void {
    this.close()
    this.onLost(this.#connectionLost(message))
  }

  onEnd(error: EtcdError | undefined): void {
    this.#abort.abort()
    this.onLost(error ?? this.#connectionLost('the member ended the stream'))
  }

  abstract onMessage(response: Response): void

  abstract onDraining(): void

  /** The stream is open: messages can be sent. */
  protected abstract onOpen(): void

  /** The stream has ended, or could not be opened. Nothing is called after that, nor after `close()`. */
  protected abstract onLost(error: unknown): void

  #connectionLost(message: string): EtcdError {
    return new EtcdError(message, {
      code: 'CONNECTION_LOST',
      effect: 'none',
      retryable: true,
      endpoint: this.endpoint,
      method: this.#method.name,
    })
  }
}
