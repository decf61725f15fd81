import { messagePrefix, messagePrefixBytes } from './grpc-protocol.js'

interface Message {
  readonly prefix: Buffer
  readonly bytes: Buffer
  readonly onSent: (() => void) | undefined
}

/** The payload of one frame: the rest of a message's prefix, and bytes of the message. */
export interface FramePart {
  readonly prefix: Buffer
  readonly bytes: Buffer
  /** To be called when the frame is written, if it completes its message. */
  readonly onSent: (() => void) | undefined
}

const nothing = Buffer.alloc(0)

/** The unsent messages of a stream. */
export class OutgoingBody<Stream> {
  readonly stream: Stream
  readonly #messages: Message[] = []
  /** Bytes of the first message that were sent, prefix included. */
  #sent = 0
  #isEnding = false

  constructor(stream: Stream) {
    this.stream = stream
  }

  /** Whether no message is left. The end of the stream may still have to be sent. */
  get isEmpty(): boolean {
    return this.#messages.length === 0
  }

  /** Whether the stream ends after the last message. */
  get isEnding(): boolean {
    return this.#isEnding
  }

  /** Adds a message. `onSent` is called when all of it is written. */
  push(bytes: Buffer, onSent: (() => void) | undefined): void {
    this.#messages.push({ prefix: messagePrefix(bytes.length), bytes, onSent })
  }

  /** Ends the stream after the last message. */
  end(): void {
    this.#isEnding = true
  }

  /** Takes the next bytes of the first message, at most `maxBytes`. */
  take(maxBytes: number): FramePart {
    const [message] = this.#messages
    if (message === undefined) return { prefix: nothing, bytes: nothing, onSent: undefined }
    const from = this.#sent
    const to = Math.min(from + maxBytes, messagePrefixBytes + message.bytes.length)
    const prefix = message.prefix.subarray(from, to)
    const bytes = message.bytes.subarray(Math.max(0, from - messagePrefixBytes), Math.max(0, to - messagePrefixBytes))
    this.#sent = to
    if (to < messagePrefixBytes + message.bytes.length) return { prefix, bytes, onSent: undefined }
    this.#messages.shift()
    this.#sent = 0
    return { prefix, bytes, onSent: message.onSent }
  }
}
