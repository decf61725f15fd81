import type { ChannelSettings } from '../channel-settings.js'
import type { Traffic } from '../unary-channel.js'

/**
 * Gives up a connection with streams on it that is silent although it was pinged: grpc-js pings every `keepaliveMs`, and
 * knows no sign of life but the answer, which may be behind a large one. Looks at the bytes from time to time, while there
 * are streams: unary calls have deadlines and a clock of their own. Its timer does not hold the process open.
 */
export class StreamSilence {
  readonly #boundMs: number
  readonly #lookEveryMs: number
  readonly #traffic: Pick<Traffic, 'bytesRead'>
  readonly #giveUp: () => void
  #streams = 0
  #timer: NodeJS.Timeout | undefined
  #bytesRead = 0
  #heardAt = 0
  #lookedAt = 0

  constructor(
    { keepaliveMs, keepaliveTimeoutMs }: ChannelSettings,
    traffic: Pick<Traffic, 'bytesRead'>,
    giveUp: () => void,
  ) {
    this.#lookEveryMs = keepaliveTimeoutMs / 5
    this.#boundMs = keepaliveMs + keepaliveTimeoutMs - this.#lookEveryMs
    this.#traffic = traffic
    this.#giveUp = giveUp
  }

  streamStarted(): void {
    this.#streams += 1
    if (this.#timer !== undefined) return
    this.#heardAt = performance.now()
    this.#lookedAt = this.#heardAt
    this.#timer = setInterval(() => this.#look(), this.#lookEveryMs)
    this.#timer.unref()
  }

  streamEnded(): void {
    this.#streams -= 1
    if (this.#streams === 0) this.stop()
  }

  stop(): void {
    clearInterval(this.#timer)
    this.#timer = undefined
  }

  #look(): void {
    const { bytesRead } = this.#traffic
    const now = performance.now()
    const isLate = now - this.#lookedAt > 2 * this.#lookEveryMs
    if (bytesRead !== this.#bytesRead) this.#heardAt = now
    this.#bytesRead = bytesRead
    this.#lookedAt = now
    // When this process itself was stalled, answers may lie unread until the next look.
    if (now - this.#heardAt >= this.#boundMs && !isLate) this.#giveUp()
  }
}
