import { halfJitterMs } from '../core/backoff.js'

/** What an attempt to connect gives. */
interface Attempt {
  close(): void
}

/** Hears of attempts that fail. */
export interface ConnectAttemptsListener {
  /** One failed, or takes too long; others follow. */
  onFailed(reason: string | undefined): void
}

const backoff = { baseMs: 100, maxMs: 2000 }
/**
 * How long an attempt is the only one. The kernel tries to reach a path that swallows packets for minutes, and nobody else
 * bounds the wait for HTTP/2's settings; and behind a name, the member may have another address by now.
 */
const hedgeAfterMs = 3000
/** How long the first of several may take, for links on which nothing connects any sooner. */
const maxAttemptMs = 24_000

/**
 * Tries to connect until something does: again after a failure, with a backoff, and beside an attempt that takes long. Each
 * looks up the name of the member, and takes the credentials of the moment. Of the attempts that take long, the first one
 * is kept, and the last one. Its timers do not hold the process open.
 */
export class ConnectAttempts<C extends Attempt> {
  readonly #open: () => C
  readonly #listener: ConnectAttemptsListener
  #failures: number
  #newest: C | undefined
  #timer: NodeJS.Timeout | undefined
  #oldest: { readonly connection: C; readonly timer: NodeJS.Timeout } | undefined
  #startedAt = 0

  /** The first attempt is made now, or after a backoff where others have failed already. */
  constructor(open: () => C, listener: ConnectAttemptsListener, failures: number) {
    this.#open = open
    this.#listener = listener
    this.#failures = failures
    if (failures === 0) this.#start()
    else this.#startLater()
  }

  /** How many failed in a row. */
  get failures(): number {
    return this.#failures
  }

  /** The last attempt, as long as it is under way. */
  get newest(): C | undefined {
    return this.#newest
  }

  /** An attempt has come to an end. Returns whether it was one of these. */
  lost(connection: C, reason: string | undefined): boolean {
    if (connection === this.#oldest?.connection) {
      this.#forgetOldest()
      return true
    }
    if (connection !== this.#newest) return false
    this.#failures += 1
    this.#startLater()
    this.#listener.onFailed(reason)
    return true
  }

  /** An attempt is connected: the others end. Returns whether it was one of these. */
  connected(connection: C): boolean {
    const isOne = connection === this.#newest || connection === this.#oldest?.connection
    if (isOne) this.#end(connection)
    return isOne
  }

  close(): void {
    this.#end(undefined)
  }

  #end(kept: C | undefined): void {
    const others = [this.#newest, this.#oldest?.connection].filter((connection) => connection !== kept)
    clearTimeout(this.#timer)
    this.#newest = undefined
    this.#forgetOldest()
    for (const other of others) other?.close()
  }

  #start(): void {
    this.#startedAt = performance.now()
    this.#next()
  }

  #startLater(): void {
    clearTimeout(this.#timer)
    this.#newest = undefined
    this.#timer = setTimeout(() => this.#start(), halfJitterMs(this.#failures, backoff))
    this.#timer.unref()
  }

  #next(): void {
    this.#timer = setTimeout(() => this.#hedge(), hedgeAfterMs)
    this.#timer.unref()
    this.#newest = this.#open()
  }

  #hedge(): void {
    const slow = this.#newest
    this.#next()
    if (slow !== undefined && this.#oldest === undefined) this.#keep(slow)
    else slow?.close()
    const tookMs = Math.round((performance.now() - this.#startedAt) / hedgeAfterMs) * hedgeAfterMs
    this.#listener.onFailed(`no connection within ${tookMs} ms`)
  }

  #keep(connection: C): void {
    const timer = setTimeout(() => {
      this.#oldest = undefined
      connection.close()
    }, maxAttemptMs - hedgeAfterMs)
    timer.unref()
    this.#oldest = { connection, timer }
  }

  #forgetOldest(): void {
    clearTimeout(this.#oldest?.timer)
    this.#oldest = undefined
  }
}
