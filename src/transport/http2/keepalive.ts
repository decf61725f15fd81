import type { ChannelSettings } from '../channel-settings.js'

/** The connection, as far as keepalive needs it. */
export interface KeepaliveHost {
  /** Whether streams are open. */
  isBusy(): boolean
  /** Sends a PING, and calls `answered` for its acknowledgement. Returns `false` if the connection is not open yet. */
  ping(answered: () => void): boolean
  onTimeout(error: Error): void
}

/**
 * Sends a PING on a connection that has received nothing for `keepaliveMs` while streams are open, and closes it if nothing is
 * received for `keepaliveTimeoutMs` after that. Without streams it sends none: etcd would close the connection
 * (`too_many_pings`). Its timers do not hold the process open.
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

  /** A stream was opened: the member should respond. */
  callStarted(): void {
    if (this.#timer !== undefined) return
    this.#readAt = performance.now()
    this.#wait(this.#settings.keepaliveMs)
  }

  /** Bytes were received. */
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

  /** The acknowledgement is queued behind data in transit, so that any received bytes extend the timeout. */
  #waitForAnswer(ms: number): void {
    const { keepaliveTimeoutMs } = this.#settings
    this.#set(ms, () => {
      const silentMs = performance.now() - this.#readAt
      if (silentMs < keepaliveTimeoutMs) this.#waitForAnswer(keepaliveTimeoutMs - silentMs)
      else this.#timeOutAfterReads()
    })
  }

  /** After this process was blocked, its timers fire before it reads the bytes that have arrived meanwhile. */
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
