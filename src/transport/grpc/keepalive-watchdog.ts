import type { Traffic } from '../channel.js'
import type { ChannelSettings } from '../channel-settings.js'

/**
 * Detects a silent connection with streams. grpc-js pings every `keepaliveMs`, but accepts only the acknowledgement as a sign of
 * life, which may be queued behind a large response. This samples the received bytes instead, while there are streams. Unary
 * calls have deadlines, and are covered by `ConnectionLiveness`. Its timer does not hold the process open.
 */
export class KeepaliveWatchdog {
  readonly #maxSilenceMs: number
  readonly #sampleEveryMs: number
  readonly #traffic: Pick<Traffic, 'bytesRead'>
  readonly #onSilent: () => void
  #streams = 0
  #timer: NodeJS.Timeout | undefined
  #bytesRead = 0
  #readAt = 0
  #sampledAt = 0

  constructor(
    { keepaliveMs, keepaliveTimeoutMs }: ChannelSettings,
    traffic: Pick<Traffic, 'bytesRead'>,
    giveUp: () => void,
  ) {
    this.#sampleEveryMs = keepaliveTimeoutMs / 5
    this.#maxSilenceMs = keepaliveMs + keepaliveTimeoutMs - this.#sampleEveryMs
    this.#traffic = traffic
    this.#onSilent = giveUp
  }

  streamStarted(): void {
    this.#streams += 1
    if (this.#timer !== undefined) return
    this.#readAt = performance.now()
    this.#sampledAt = this.#readAt
    this.#timer = setInterval(() => this.#sample(), this.#sampleEveryMs)
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

  #sample(): void {
    const { bytesRead } = this.#traffic
    const now = performance.now()
    const isLate = now - this.#sampledAt > 2 * this.#sampleEveryMs
    if (bytesRead !== this.#bytesRead) this.#readAt = now
    this.#bytesRead = bytesRead
    this.#sampledAt = now
    // When this process itself was blocked, received bytes may be unread until the next sample.
    if (now - this.#readAt >= this.#maxSilenceMs && !isLate) this.#onSilent()
  }
}
