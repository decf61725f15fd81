import type { ChannelSettings } from '../channel-settings.js'

/** What is kept alive. */
export interface Pinged {
  /** Whether calls wait for an answer. */
  isBusy(): boolean
  /** Sends a ping; `false` where that is not possible any more. */
  ping(answered: () => void): boolean
  giveUp(error: Error): void
}

/**
 * Pings a session that says nothing while calls are open, and ends it when a ping stays unanswered. Never without calls,
 * which etcd answers by closing the connection. Its timers do not hold the process open.
 */
export class Keepalive {
  readonly #settings: ChannelSettings
  readonly #pinged: Pinged
  #timer: NodeJS.Timeout | undefined
  #heardAt = 0

  constructor(settings: ChannelSettings, pinged: Pinged) {
    this.#settings = settings
    this.#pinged = pinged
  }

  /** A call was made: the member should say something. */
  expect(): void {
    if (this.#timer !== undefined) return
    this.#heardAt = performance.now()
    this.#wait(this.#settings.keepaliveMs)
  }

  /** The member said something. */
  heard(): void {
    this.#heardAt = performance.now()
  }

  stop(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
  }

  #wait(ms: number): void {
    this.#timer = setTimeout(() => this.#check(), ms)
    this.#timer.unref()
  }

  #check(): void {
    const silentMs = performance.now() - this.#heardAt
    if (!this.#pinged.isBusy()) this.#timer = undefined
    else if (silentMs < this.#settings.keepaliveMs) this.#wait(this.#settings.keepaliveMs - silentMs)
    else this.#ping()
  }

  #ping(): void {
    const { keepaliveMs, keepaliveTimeoutMs } = this.#settings
    const patience = setTimeout(() => {
      this.#pinged.giveUp(new Error(`Ping timeout: no answer within ${keepaliveTimeoutMs} ms`))
    }, keepaliveTimeoutMs)
    patience.unref()
    this.#timer = patience
    const isSent = this.#pinged.ping(() => {
      clearTimeout(patience)
      if (this.#timer !== patience) return
      this.heard()
      this.#wait(keepaliveMs)
    })
    if (!isSent) clearTimeout(patience)
  }
}
