import { halfJitterMs } from '../core/backoff.js'

/** An attempt to connect. */
interface Attempt {
  close(): void
}

/** Receives failures. */
export interface ConnectAttemptsListener {
  /** An attempt has failed or takes long; another one follows. */
  onFailed(reason: string | undefined): void
}

const backoff = { baseMs: 100, maxMs: 2000 }
/**
 * Time after which another attempt is started beside a slow one. Without it, a path that drops packets would take minutes to
 * fail in the kernel, a server that never sends its HTTP/2 settings would never fail, and a member that has moved to another
 * address would not be found.
 */
const hedgeAfterMs = 3000
/** How long the first of several concurrent attempts may take, for links on which connecting is slow. */
const maxAttemptMs = 24_000

/**
 * Tries to connect until an attempt succeeds: with a backoff after a failure, and hedged where an attempt takes long. Each
 * attempt resolves the name of the member and uses the current credentials. At most two run at a time, the oldest and the
 * newest. The timers do not hold the process open.
 */
export class ConnectAttempts<C extends Attempt> {
  readonly #open: () => C
  readonly #listener: ConnectAttemptsListener
  #failures: number
  #newest: C | undefined
  #timer: NodeJS.Timeout | undefined
  #oldest: { readonly connection: C; readonly timer: NodeJS.Timeout } | undefined
  #startedAt = 0

  /** Starts the first attempt now, or after a backoff if `failures` attempts have failed already. */
  constructor(open: () => C, listener: ConnectAttemptsListener, failures: number) {
    this.#open = open
    this.#listener = listener
    this.#failures = failures
    if (failures === 0) this.#start()
    else this.#startLater()
  }

  /** The number of consecutive failures. */
  get failures(): number {
    return this.#failures
  }

  /** The newest attempt, while it is running. */
  get newest(): C | undefined {
    return this.#newest
  }

  /** A connection was lost. Returns whether it was one of these attempts. */
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

  /** A connection is established. Returns whether it was one of these attempts; the others are closed then. */
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
