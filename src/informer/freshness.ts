import { setTimeout as delay } from 'node:timers/promises'
import type { Watcher } from '../watch/watcher.js'

/** The part of a watch that is monitored. */
export type PingedWatch = Pick<Watcher, 'lastMessageAt' | 'ping' | 'requestProgress'>

/** A member that has sent nothing for this long may be disconnected. */
export const freshMs = 3000
/** While reads are made, the member is pinged after this much silence, and no more often. */
const pingAfterMs = 1000
/** How long a read waits for the response to a ping. */
const patienceMs = 500
const lookEveryMs = 5
/** Minimum interval between progress requests while reads return less than the client has seen. */
const progressAfterMs = 100

/**
 * Tracks whether the watch of an informer still follows the cluster, from anything that its member sends. The member is
 * pinged only while reads are made, and no read waits for a member known to be silent.
 */
export class Freshness {
  readonly #watch: () => PingedWatch | undefined
  #pingedAt = Number.NEGATIVE_INFINITY
  #askedAt = Number.NEGATIVE_INFINITY
  /** The last awaited ping was not answered. */
  #isSilent = false
  #answering: Promise<void> | undefined

  /** `watch` returns the current watch, if any. */
  constructor(watch: () => PingedWatch | undefined) {
    this.#watch = watch
  }

  get isFresh(): boolean {
    return performance.now() - this.#lastMessageAt <= freshMs
  }

  /** What a read must wait for before `isFresh` is accurate; `undefined` if nothing. */
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

  /**
   * Requests progress: a read has returned less than the client has seen elsewhere, usually because nothing changed in
   * the informer's range.
   */
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
    // Unreferenced: the caller's own timeout keeps the process alive.
    const look = (): Promise<void> => delay(lookEveryMs, undefined, { ref: false })
    for (const until = performance.now() + patienceMs; performance.now() < until && this.#lastMessageAt <= before; )
      await look()
    this.#isSilent = !this.isFresh
    this.#answering = undefined
  }
}
