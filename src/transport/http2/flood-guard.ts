import { excessError } from './http2-error.js'

const maxFrames = 10_000
const periodMs = 10_000

/**
 * Counts the frames that cost work and carry nothing for any call: pings, settings, data without bytes, frames for streams
 * that are over, and those of unknown types. A peer may send some; one that sends nothing else is up to no good.
 */
export class FloodGuard {
  #count = 0
  #since = 0

  /** One more. Throws an `Http2Error` if there were too many of them in a row. */
  countUseless(): void {
    this.#count += 1
    if (this.#count < maxFrames) return
    const now = performance.now()
    if (now - this.#since < periodMs) throw excessError(`${maxFrames} frames in a row carried nothing for any call`)
    this.#since = now
    this.#count = 0
  }

  /** A frame was of use. */
  reset(): void {
    this.#count = 0
  }
}
