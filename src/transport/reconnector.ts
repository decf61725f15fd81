import { halfJitterMs } from '../core/backoff.js'
import { ConnectPatience } from './connect-patience.js'
import type { LaneState } from './unary-lane.js'

/** One connection to a member, which is made once and lost once. */
export interface SingleConnection {
  /** Bytes that came from the member. */
  readonly bytesRead: number
  /** Takes no new calls, and ends with the last of those on it. */
  leave(): void
  /** Ends it now, with every call on it. */
  close(): void
}

/** Who opened a connection. */
export interface SingleConnectionListener<C> {
  /** Calls may be made. */
  onConnected(connection: C): void
  /** The member wants no new calls on it; those under way go on. */
  onLeaving(connection: C): void
  /** It is over, or was never made, for this reason where one is known. The last that is told. */
  onLost(connection: C, reason: string | undefined): void
}

type State<C> =
  | { readonly kind: 'idle' | 'closed' }
  | { readonly kind: 'connecting'; readonly connection: C }
  | { readonly kind: 'connected'; readonly connection: C; readonly since: number }
  | { readonly kind: 'waiting'; readonly timer: NodeJS.Timeout }

const backoff = { baseMs: 100, maxMs: 2000 }
/** How long a connection that was replaced because it was silent may stay silent until its calls are given up. */
const silentGraceMs = 500

/**
 * Keeps one connection for new calls: connects again when it was lost or is leaving, at once after one that was of use and
 * else after a backoff. Those that are leaving go on beside it until their calls have ended.
 */
export class Reconnector<C extends SingleConnection> implements SingleConnectionListener<C> {
  readonly #open: (listener: SingleConnectionListener<C>) => C
  readonly #onState: (state: LaneState) => void
  readonly #patience = new ConnectPatience((afterMs) => this.#tookTooLong(afterMs))
  readonly #secondPatience = new ConnectPatience(() => this.#dropSecond())
  readonly #leaving = new Map<C, NodeJS.Timeout | undefined>()
  #state: State<C> = { kind: 'idle' }
  /** Made beside a silent one, to take its place. */
  #second: C | undefined
  #failures = 0

  constructor(open: (listener: SingleConnectionListener<C>) => C, onState: (state: LaneState) => void) {
    this.#open = open
    this.#onState = onState
  }

  /** The connection for new calls; `undefined` while there is none. */
  get connected(): C | undefined {
    return this.#state.kind === 'connected' ? this.#state.connection : undefined
  }

  /** The same, or the one that is being made. */
  get latest(): C | undefined {
    return 'connection' in this.#state ? this.#state.connection : undefined
  }

  connect(): void {
    this.#patience.start()
    this.#state = { kind: 'connecting', connection: this.#open(this) }
  }

  /** Opens a second connection beside a silent one; see `UnaryLane.replace`. */
  replace(): void {
    if (this.#state.kind !== 'connected' || this.#second !== undefined) return
    this.#secondPatience.start()
    this.#second = this.#open(this)
  }

  close(): void {
    const { latest } = this
    if (this.#state.kind === 'waiting') clearTimeout(this.#state.timer)
    this.#state = { kind: 'closed' }
    this.#patience.stop()
    latest?.close()
    this.#dropSecond()
    for (const connection of [...this.#leaving.keys()]) this.#end(connection)
  }

  onConnected(connection: C): void {
    if (connection === this.#second) this.#takeOver(connection)
    else if (connection === this.latest) this.#enterConnected(connection)
  }

  onLeaving(connection: C): void {
    if (connection === this.#second) this.#dropSecond()
    if (connection !== this.latest) return
    this.#leaving.set(connection, undefined)
    this.#again(undefined)
  }

  onLost(connection: C, reason: string | undefined): void {
    clearTimeout(this.#leaving.get(connection))
    this.#leaving.delete(connection)
    if (connection === this.#second) this.#dropSecond()
    else if (connection === this.latest) this.#again(reason)
  }

  #enterConnected(connection: C): void {
    this.#patience.succeeded()
    this.#state = { kind: 'connected', connection, since: performance.now() }
    this.#onState({ kind: 'connected' })
  }

  #takeOver(second: C): void {
    const first = this.connected
    this.#second = undefined
    this.#secondPatience.succeeded()
    this.#enterConnected(second)
    if (first === undefined) return
    const bytesRead = first.bytesRead
    const timer = setTimeout(() => {
      if (first.bytesRead === bytesRead) this.#end(first)
    }, silentGraceMs)
    timer.unref()
    this.#leaving.set(first, timer)
    first.leave()
  }

  #end(leaving: C): void {
    clearTimeout(this.#leaving.get(leaving))
    if (this.#leaving.delete(leaving)) leaving.close()
  }

  #dropSecond(): void {
    const second = this.#second
    this.#second = undefined
    this.#secondPatience.stop()
    second?.close()
  }

  /** Connects again: at once after a connection that was of use, else after a backoff. */
  #again(reason: string | undefined): void {
    const state = this.#state
    const wasConnected = state.kind === 'connected'
    if (wasConnected && performance.now() - state.since > backoff.baseMs) {
      this.#failures = 0
      this.#connectNext()
    } else {
      this.#failures += 1
      this.#patience.stop()
      const timer = setTimeout(() => this.#connectNext(), halfJitterMs(this.#failures, backoff))
      timer.unref()
      this.#state = { kind: 'waiting', timer }
    }
    this.#onState(wasConnected ? { kind: 'connecting' } : { kind: 'failed', reason })
  }

  /** The one that was being made beside it is as good as a new one. */
  #connectNext(): void {
    const second = this.#second
    if (second === undefined) {
      this.connect()
      return
    }
    this.#second = undefined
    this.#secondPatience.stop()
    this.#patience.start()
    this.#state = { kind: 'connecting', connection: second }
  }

  /** The kernel tries to reach a path that swallows packets for minutes, and nobody bounds the wait for HTTP/2's settings. */
  #tookTooLong(afterMs: number): void {
    const { latest } = this
    this.connect()
    latest?.close()
    this.#onState({ kind: 'failed', reason: `no connection within ${afterMs} ms` })
  }
}
