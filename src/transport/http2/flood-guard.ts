import { excessError } from './http2-error.js'

const maxFrames = 10_000
const periodMs = 10_000

/**
 * Counts consecutive frames that carry nothing for any call: PING, SETTINGS, empty DATA, and frames of ended streams or of
 * unknown types. A peer that sends a flood of them is disconnected.
 */
export class FloodGuard {
  #count = 0
  #since = 0

  /** Counts one frame. Throws an `Http2Error` after too many consecutive ones. */
  countUseless(): void {
    this.#count += 1
    if (this.#count < maxFrames) return
    const now = performance.now()
    if (now - this.#since < periodMs) throw excessError(`${maxFrames} frames in a row carried nothing for any call`)
    this.#since = now
    this.#count = 0
  }

  /** A frame carried something for a call. */
  reset(): void {
    this.#count = 0
  }
}
