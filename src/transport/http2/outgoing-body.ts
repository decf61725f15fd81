import type { Http2Stream } from './http2-stream.js'

interface Part {
  readonly bytes: Buffer
  readonly onSent: (() => void) | undefined
}

/** What a stream has to send, in order. */
export class OutgoingBody {
  readonly stream: Http2Stream
  readonly #parts: Part[] = []
  /** How much of the first part is sent. */
  #sent = 0
  #isEnding = false

  constructor(stream: Http2Stream) {
    this.stream = stream
  }

  /** Whether nothing is left but, at most, the end of the stream. */
  get isEmpty(): boolean {
    return this.#parts.length === 0
  }

  /** Whether the end of the stream follows what is left. */
  get isEnding(): boolean {
    return this.#isEnding
  }

  /** Adds bytes; `onSent` is called when they are written. */
  push(bytes: Buffer, onSent: (() => void) | undefined): void {
    this.#parts.push({ bytes, onSent })
  }

  /** The stream ends after what was added. */
  end(): void {
    this.#isEnding = true
  }

  /** Takes the next bytes of one part, `maxBytes` at most. `onSent` must be called after they are written. */
  take(maxBytes: number): { readonly bytes: Buffer; readonly onSent: (() => void) | undefined } {
    const [part] = this.#parts
    if (part === undefined) return { bytes: Buffer.alloc(0), onSent: undefined }
    const bytes = part.bytes.subarray(this.#sent, this.#sent + maxBytes)
    this.#sent += bytes.length
    if (this.#sent < part.bytes.length) return { bytes, onSent: undefined }
    this.#parts.shift()
    this.#sent = 0
    return { bytes, onSent: part.onSent }
  }
}
