/**
 * How long something may take to connect before it is replaced by something new. grpc-js bounds its attempts by nothing but
 * the kernel's patience, minutes on a path that swallows packets, and for ever where no HTTP/2 settings come; Node's own
 * HTTP/2 does not either.
 */
const patience = { baseMs: 3000, maxMs: 24_000 }

/** Gives up attempts to connect that take too long, later each time that it was of no use. */
export class ConnectPatience {
  readonly #giveUp: (afterMs: number) => void
  #timer: NodeJS.Timeout | undefined
  #fruitless = 0

  constructor(giveUp: (afterMs: number) => void) {
    this.#giveUp = giveUp
  }

  /** An attempt begins. */
  start(): void {
    this.stop()
    const patienceMs = Math.min(patience.maxMs, patience.baseMs * 2 ** this.#fruitless)
    this.#timer = setTimeout(() => {
      this.#fruitless += 1
      this.#giveUp(patienceMs)
    }, patienceMs)
    this.#timer.unref()
  }

  /** It connected. */
  succeeded(): void {
    this.stop()
    this.#fruitless = 0
  }

  stop(): void {
    clearTimeout(this.#timer)
  }
}
