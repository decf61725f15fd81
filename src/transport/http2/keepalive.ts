import type { ChannelSettings } from '../channel-settings.js'

/** What is kept alive. */
export interface KeepaliveHost {
  /** Whether calls wait for an answer. */
  isBusy(): boolean
  /** Sends a ping; `false` where that is not possible, as there is no connection yet. */
  ping(answered: () => void): boolean
  onTimeout(error: Error): void
}

/**
 * Pings a session that says nothing while calls are open, and ends it when a ping stays unanswered. Never without calls,
 * which etcd answers by closing the connection. Its timers do not hold the process open.
 */
export class Keepalive {
  readonly #settings: ChannelSettings
  readonly #host: KeepaliveHost
  #timer: NodeJS.Timeout | undefined
  #readAt = 0

  constructor(settings: ChannelSettings, pinged: KeepaliveHost) {
    this.#settings = settings
    this.#host = pinged
  }

  /** A call was made: the member should say something. */
  callStarted(): void {
    if (this.#timer !== undefined) return
    this.#readAt = performance.now()
    this.#wait(this.#settings.keepaliveMs)
  }

  /** The member said something. */
  bytesRead(): void {
    this.#readAt = performance.now()
  }

  stop(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
  }

  #wait(ms: number): void {
    this.#set(ms, () => this.#check())
  }

  #check(): void {
    const silentMs = performance.now() - this.#readAt
    if (!this.#host.isBusy()) this.#timer = undefined
    else if (silentMs < this.#settings.keepaliveMs) this.#wait(this.#settings.keepaliveMs - silentMs)
    else this.#ping()
  }

  #ping(): void {
    const { keepaliveMs, keepaliveTimeoutMs } = this.#settings
    const isSent = this.#host.ping(() => {
      if (this.#timer !== undefined) this.#wait(keepaliveMs)
    })
    if (isSent) this.#waitForAnswer(keepaliveTimeoutMs)
    else this.#wait(keepaliveMs)
  }

  /** The answer comes after everything that is on its way already: as long as bytes come, there is a peer. */
  #waitForAnswer(ms: number): void {
    const { keepaliveTimeoutMs } = this.#settings
    this.#set(ms, () => {
      const silentMs = performance.now() - this.#readAt
      if (silentMs < keepaliveTimeoutMs) this.#waitForAnswer(keepaliveTimeoutMs - silentMs)
      else this.#timeOutAfterReads()
    })
  }

  /** Where this process was busy for long, its timers ring before it reads what has come meanwhile. */
  #timeOutAfterReads(): void {
    const timer = this.#timer
    const heardAt = this.#readAt
    setImmediate(() => {
      const { keepaliveTimeoutMs } = this.#settings
      if (this.#timer !== timer) return
      if (this.#readAt !== heardAt) this.#waitForAnswer(keepaliveTimeoutMs)
      else this.#host.onTimeout(new Error(`Ping timeout: no answer within ${keepaliveTimeoutMs} ms`))
    })
  }

  #set(ms: number, ring: () => void): void {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(ring, ms)
    this.#timer.unref()
  }
}
