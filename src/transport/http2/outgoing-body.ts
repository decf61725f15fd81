import { messagePrefix, messagePrefixBytes } from './grpc-protocol.js'

interface Message {
  readonly prefix: Buffer
  readonly bytes: Buffer
  readonly onSent: (() => void) | undefined
}

/** Bytes of one frame: the end of a prefix, and what follows it. */
export interface FramePart {
  readonly prefix: Buffer
  readonly bytes: Buffer
  /** To be called when they are written, which completes their message. */
  readonly onSent: (() => void) | undefined
}

const nothing = Buffer.alloc(0)

/** What a stream has to send, in order. */
export class OutgoingBody<Stream> {
  readonly stream: Stream
  readonly #messages: Message[] = []
  /** How much of the first message is sent, with its prefix. */
  #sent = 0
  #isEnding = false

  constructor(stream: Stream) {
    this.stream = stream
  }

  /** Whether nothing is left but, at most, the end of the stream. */
  get isEmpty(): boolean {
    return this.#messages.length === 0
  }

  /** Whether the end of the stream follows what is left. */
  get isEnding(): boolean {
    return this.#isEnding
  }

  /** Adds a message; `onSent` is called when all of it is written. */
  push(bytes: Buffer, onSent: (() => void) | undefined): void {
    this.#messages.push({ prefix: messagePrefix(bytes.length), bytes, onSent })
  }

  /** The stream ends after what was added. */
  end(): void {
    this.#isEnding = true
  }

  /** Takes what comes next of one message, `maxBytes` at most. */
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
