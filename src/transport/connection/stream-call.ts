import { EtcdError } from '../../core/errors.js'
import type { ResponseHeader } from '../../protobuf/generated/messages.js'
import type { StreamMethod } from '../../protobuf/method.js'
import type { CallListener, CallStatus, ChannelStream, StreamChannel } from '../channel.js'
import { toEtcdError } from '../grpc-status.js'
import type { StreamPurpose } from '../stream-slots.js'
import type { CallMetadata } from '../transport.js'

/** Receives the messages of a stream. Nothing is called after `onEnd` or `cancel`. */
export interface StreamListener<Response> {
  onMessage(response: Response): void
  /** The stream has ended; `error` is `undefined` if the member ended it without an error. */
  onEnd(error: EtcdError | undefined): void
  /** The member will end the stream within seconds: it is shutting down or no longer an endpoint. */
  onDraining(): void
  /** A message was sent. */
  onSent?(): void
  /** The stream was cancelled by this client. */
  onCancelled?(): void
}

/** What a stream is opened with. */
export interface StreamInit<Request = unknown, Response = unknown> {
  readonly method: StreamMethod<Request, Response>
  readonly metadata: CallMetadata
  readonly purpose: StreamPurpose
  readonly listener: StreamListener<Response>
}

/** The connection of a stream, as far as the stream needs it. */
export interface StreamOwner {
  readonly url: string
  readonly version: string | undefined
  readonly dataBytes: number | undefined
  /** A message with this header has arrived. An error returned here ends the stream, and the message is not delivered. */
  streamAnswered(header: ResponseHeader): EtcdError | undefined
  streamEnded(stream: StreamCall): void
}

const okStatus = 0
const cancelledStatus = 1
const unavailableStatus = 14

/**
 * One streaming call on one connection. Messages are read one at a time, and none while it is paused, so that HTTP/2 flow
 * control stops the member when the reader is slow.
 */
export class StreamCall<Request = unknown, Response = unknown> implements CallListener {
  readonly method: StreamMethod<Request, Response>
  readonly endpoint: string
  readonly purpose: StreamPurpose
  readonly #owner: StreamOwner
  readonly #unsent: Buffer[] = []
  #listener: StreamListener<Response> | undefined
  #call: ChannelStream | undefined
  #isWriting = false
  #isEnding = false
  #isPaused = false
  /** Whether a message was requested by `startRead`, or the next part of one is planned, and has not arrived yet. */
  #isReading = false
  /** The parts of the last message that were not delivered yet. */
  #parts: Iterator<Response, undefined> | undefined

  constructor(owner: StreamOwner, init: StreamInit<Request, Response>) {
    this.method = init.method
    this.purpose = init.purpose
    this.endpoint = owner.url
    this.#owner = owner
    this.#listener = init.listener
  }

  /** The member's version; `undefined` until it has reported it, which requires a login where authentication is enabled. */
  get serverVersion(): string | undefined {
    return this.#owner.version
  }

  /** Bytes of the member's database in use, as last reported; `undefined` as for `serverVersion`. */
  get dataBytes(): number | undefined {
    return this.#owner.dataBytes
  }

  start(channel: StreamChannel, metadata: CallMetadata): void {
    try {
      this.#call = channel.startStream(this.method.path, metadata, this)
      this.#read()
    } catch (error) {
      // A channel without a connection throws, as does grpc-js for a closed one. The caller does not have the stream yet.
      const details = `Channel closed before call started: ${String(error)}`
      setImmediate(() => this.onReceiveStatus({ code: unavailableStatus, details }))
    }
  }

  /** Queues a message. Messages to a stream that has ended are dropped: the listener knows its end. */
  send(request: Request): void {
    if (this.#listener === undefined) return
    this.#unsent.push(this.method.encode(request))
    this.#listener.onSent?.()
    this.#write()
  }

  /** Half-closes the stream: no further message is sent, and the member may still respond. */
  endRequests(): void {
    this.#isEnding = true
    this.#write()
  }

  /** Stops requesting messages: at most one more arrives. */
  pause(): void {
    this.#isPaused = true
  }

  resume(): void {
    this.#isPaused = false
    this.#read()
  }

  /** Cancels the stream. The listener is not called any more, except for `onCancelled`. */
  cancel(): void {
    const listener = this.#listener
    this.#cancel()
    listener?.onCancelled?.()
  }

  /** Cancels the stream, and ends it with `error` for its listener. */
  fail(error: EtcdError): void {
    const listener = this.#listener
    this.#cancel()
    listener?.onEnd(error)
  }

  /** The member or this connection will end the stream soon. */
  draining(): void {
    this.#listener?.onDraining()
  }

  onReceiveMetadata(): void {}

  onReceiveMessage(message: Buffer): void {
    this.#isReading = false
    this.#parts = this.method.parts?.(message)
    if (this.#parts === undefined) this.#deliver(() => this.method.decode(message))
    else this.#deliverPart(this.#parts)
    this.#read()
  }

  onReceiveStatus(status: CallStatus): void {
    const listener = this.#listener
    if (listener === undefined) return
    this.#detach()
    listener.onEnd(status.code === okStatus ? undefined : this.#failure(status))
  }

  #deliver(decode: () => Response | undefined): void {
    const response = this.#decoded(decode)
    if (response === undefined || this.#listener === undefined) return
    const header = headerOf(response)
    const refused = header === undefined ? undefined : this.#owner.streamAnswered(header)
    if (refused === undefined) this.#listener.onMessage(response)
    else this.fail(refused)
  }

  #deliverPart(parts: Iterator<Response, undefined>): void {
    this.#deliver(() => {
      const { done, value } = parts.next()
      if (done === true) this.#parts = undefined
      return value
    })
  }

  #decoded(decode: () => Response | undefined): Response | undefined {
    try {
      return decode()
    } catch (error) {
      this.fail(error instanceof EtcdError ? error : this.#failure({ code: unavailableStatus, details: String(error) }))
      return undefined
    }
  }

  #read(): void {
    if (this.#isReading || this.#isPaused || this.#listener === undefined) return
    this.#isReading = true
    if (this.#parts === undefined) this.#call?.startRead()
    else setImmediate(() => this.#readPart())
  }

  /** In a later turn of the event loop, so that the listener's consumer can take the part before. */
  #readPart(): void {
    this.#isReading = false
    if (this.#parts === undefined || this.#isPaused || this.#listener === undefined) return
    this.#deliverPart(this.#parts)
    this.#read()
  }

  /** grpc-js takes one message at a time. */
  #write(): void {
    if (this.#isWriting) return
    const message = this.#unsent.shift()
    if (this.#listener === undefined) return
    if (message === undefined) {
      if (this.#isEnding) this.#call?.halfClose()
      return
    }
    this.#isWriting = true
    const callback = (): void => {
      this.#isWriting = false
      this.#write()
    }
    this.#call?.sendMessageWithContext({ callback }, message)
  }

  #cancel(): void {
    if (this.#listener === undefined) return
    this.#detach()
    const cancel = (): void => this.#call?.cancelWithStatus(cancelledStatus, 'cancelled')
    cancel()
    // In the tick of its start, grpc-js reports a cancelled call as ended and still starts it on the connection.
    setImmediate(cancel)
  }

  #detach(): void {
    this.#listener = undefined
    this.#owner.streamEnded(this as StreamCall)
  }

  #failure(status: CallStatus): EtcdError {
    return toEtcdError(status, {
      method: this.method.name,
      endpoint: this.endpoint,
      sent: true,
      deadlineAt: Number.POSITIVE_INFINITY,
      now: performance.now(),
    })
  }
}

/** The header of a streamed response. Those of `KV.RangeStream` contain it in `rangeResponse`. */
function headerOf(response: unknown): ResponseHeader | undefined {
  const { header, rangeResponse } = response as Headed & { readonly rangeResponse?: Headed | undefined }
  return header ?? rangeResponse?.header
}

interface Headed {
  readonly header?: ResponseHeader | undefined
}
