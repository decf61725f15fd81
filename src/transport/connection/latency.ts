const weight = 0.1
/** Answers above this size say more about the network's width than about its distance. */
const sampleBytes = 16 * 1024

/** Moving average of the time that small calls take. */
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

  /** The time of four round trips, as far as it is known. */
  get fourTimesMs(): number {
    return 4 * (this.#ms ?? 0)
  }

  /** Ticks of 100 ms that a far member gets beyond others, to answer. */
  get extraTicks(): number {
    return Math.ceil(this.fourTimesMs / 100)
  }
}
