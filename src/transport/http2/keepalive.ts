import type { ChannelSettings } from '../channel-settings.js'

/** What is kept alive. */
export interface Pinged {
  /** Whether calls wait for an answer. */
  isBusy(): boolean
  /** Sends a ping; `false` where that is not possible, as there is no connection yet. */
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
    this.#set(ms, () => this.#check())
  }

  #check(): void {
    const silentMs = performance.now() - this.#heardAt
    if (!this.#pinged.isBusy()) this.#timer = undefined
    else if (silentMs < this.#settings.keepaliveMs) this.#wait(this.#settings.keepaliveMs - silentMs)
    else this.#ping()
  }

  #ping(): void {
    const { keepaliveMs, keepaliveTimeoutMs } = this.#settings
    const isSent = this.#pinged.ping(() => {
      if (this.#timer !== undefined) this.#wait(keepaliveMs)
    })
    if (isSent) this.#waitForAnswer(keepaliveTimeoutMs)
    else this.#wait(keepaliveMs)
  }

  /** The answer comes after everything that is on its way already: as long as bytes come, there is a peer. */
  #waitForAnswer(ms: number): void {
    const { keepaliveTimeoutMs } = this.#settings
    this.#set(ms, () => {
      const silentMs = performance.now() - this.#heardAt
      if (silentMs < keepaliveTimeoutMs) this.#waitForAnswer(keepaliveTimeoutMs - silentMs)
      else this.#giveUpAfterReads()
    })
  }

  /** Where this process was busy for long, its timers ring before it reads what has come meanwhile. */
  #giveUpAfterReads(): void {
    const timer = this.#timer
    const heardAt = this.#heardAt
    setImmediate(() => {
      const { keepaliveTimeoutMs } = this.#settings
      if (this.#timer !== timer) return
      if (this.#heardAt !== heardAt) this.#waitForAnswer(keepaliveTimeoutMs)
      else this.#pinged.giveUp(new Error(`Ping timeout: no answer within ${keepaliveTimeoutMs} ms`))
    })
  }

  #set(ms: number, ring: () => void): void {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(ring, ms)
    this.#timer.unref()
  }
}
