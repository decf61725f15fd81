import { setTimeout as delay } from 'node:timers/promises'
import type { Watcher } from '../watch/watcher.js'

/** The watch that is judged. */
export type PingedWatch = Pick<Watcher, 'lastMessageAt' | 'ping' | 'requestProgress'>

/** A member that has sent nothing for so long may have been cut off. */
export const freshMs = 3000
/** While reads are made, it is pinged when it has sent nothing for so long, and no more often. */
const pingAfterMs = 1000
/** It has so long to answer before a read goes on without knowing. */
const patienceMs = 500
const lookEveryMs = 5
/** How often the member is asked how far the watch is, while reads show less than the client has seen. */
const progressAfterMs = 100

/**
 * Whether the watch of an informer has lately shown that it still follows the cluster, by anything that its member has sent.
 * The member is pinged only while somebody reads, and no read waits for one that is known to be silent.
 */
export class Freshness {
  readonly #watch: () => PingedWatch | undefined
  #pingedAt = Number.NEGATIVE_INFINITY
  #askedAt = Number.NEGATIVE_INFINITY
  /** It did not answer the last ping that a read has waited for. */
  #isSilent = false
  #answering: Promise<void> | undefined

  /** `watch` gives the present one, if there is one. */
  constructor(watch: () => PingedWatch | undefined) {
    this.#watch = watch
  }

  get isFresh(): boolean {
    return performance.now() - this.#lastMessageAt <= freshMs
  }

  /** What a reader has to wait for before `isFresh` is the truth; `undefined` for nothing. */
  confirm(): Promise<void> | undefined {
    const now = performance.now()
    const silentMs = now - this.#lastMessageAt
    if (silentMs > pingAfterMs && now - this.#pingedAt > pingAfterMs) this.#ping(now)
    if (silentMs <= freshMs) {
      this.#isSilent = false
      return undefined
    }
    if (this.#isSilent) return undefined
    this.#answering ??= this.#untilAnswered(this.#lastMessageAt)
    return this.#answering
  }

  /** A read has shown less than the client has seen elsewhere: mostly because nothing has happened in the informer's range. */
  catchUp(): void {
    const now = performance.now()
    if (now - this.#askedAt < progressAfterMs) return
    this.#askedAt = now
    this.#watch()?.requestProgress()
  }

  get #lastMessageAt(): number {
    return this.#watch()?.lastMessageAt ?? Number.NEGATIVE_INFINITY
  }

  #ping(now: number): void {
    this.#pingedAt = now
    this.#watch()?.ping()
  }

  async #untilAnswered(before: number): Promise<void> {
    // Whoever waits for this has a bound that holds the process open.
    const look = (): Promise<void> => delay(lookEveryMs, undefined, { ref: false })
    for (const until = performance.now() + patienceMs; performance.now() < until && this.#lastMessageAt <= before; )
      await look()
    this.#isSilent = !this.isFresh
    this.#answering = undefined
  }
}
