const weight = 0.1
/** Responses above this size measure bandwidth rather than latency. */
const sampleBytes = 16 * 1024

/** Moving average of the latency of small calls. */
export class Latency {
  #ms: number | undefined

  /** In milliseconds; `undefined` before the first sample. */
  get ms(): number | undefined {
    return this.#ms
  }

  sample(sampleMs: number, responseBytes: number): void {
    if (responseBytes >= sampleBytes) return
    this.#ms = this.#ms === undefined ? sampleMs : this.#ms + weight * (sampleMs - this.#ms)
  }

  /** Four round trips in milliseconds; 0 before the first sample. */
  get fourTimesMs(): number {
    return 4 * (this.#ms ?? 0)
  }

  /** Ticks of 100 ms that a distant member gets in addition to respond. */
  get extraTicks(): number {
    return Math.ceil(this.fourTimesMs / 100)
  }
}
