import type { ClientHttp2Session } from 'node:http2'
import type { ChannelSettings } from './channel-settings.js'

/**
 * Pings a session that says nothing while calls are open, and ends it when a ping stays unanswered. Never without calls,
 * which etcd answers by closing the connection. Its timers do not hold the process open.
 */
export class Keepalive {
  readonly #session: ClientHttp2Session
  readonly #settings: ChannelSettings
  readonly #isBusy: () => boolean
  #timer: NodeJS.Timeout | undefined
  #heardAt = 0

  constructor(session: ClientHttp2Session, settings: ChannelSettings, isBusy: () => boolean) {
    this.#session = session
    this.#settings = settings
    this.#isBusy = isBusy
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
  }

  #wait(ms: number): void {
    this.#timer = setTimeout(() => this.#check(), ms)
    this.#timer.unref()
  }

  #check(): void {
    const silentMs = performance.now() - this.#heardAt
    if (!this.#isBusy()) this.#timer = undefined
    else if (silentMs < this.#settings.keepaliveMs) this.#wait(this.#settings.keepaliveMs - silentMs)
    else this.#ping()
  }

  #ping(): void {
    if (this.#session.destroyed) return
    const { keepaliveMs, keepaliveTimeoutMs } = this.#settings
    this.#timer = setTimeout(() => {
      this.#session.destroy(new Error(`Ping timeout: no answer within ${keepaliveTimeoutMs} ms`))
    }, keepaliveTimeoutMs)
    this.#timer.unref()
    this.#session.ping(() => {
      if (this.#session.destroyed) return
      clearTimeout(this.#timer)
      this.heard()
      this.#wait(keepaliveMs)
    })
  }
}
