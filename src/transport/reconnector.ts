import type { ChannelState } from './channel.js'
import { ConnectAttempts } from './connect-attempts.js'

/** One connection to a member, which is established once and lost once. */
export interface SingleConnection {
  /** Bytes received from the member. */
  readonly bytesRead: number
  /** Accepts no new calls, and closes after the last call on it. */
  drain(): void
  /** Closes now, and fails every call on it. */
  close(): void
}

/** Receives the changes of a connection. */
export interface SingleConnectionListener<C> {
  /** Calls may be made. */
  onConnected(connection: C): void
  /** The member accepts no new calls on it; those in flight may finish. */
  onDraining(connection: C): void
  /** The connection was lost or could not be established, for `reason` if known. Nothing is called after this. */
  onLost(connection: C, reason: string | undefined): void
}

/** After a connection with a shorter lifetime, the next one is opened after a backoff. */
const minLifetimeMs = 100
/** How long a connection that was replaced because it was silent may stay silent until its calls fail. */
const silentGraceMs = 500

/** The connection for new calls. */
interface Current<C> {
  readonly connection: C
  readonly since: number
  /** Attempts that failed before it was established. */
  readonly failures: number
}

/**
 * Maintains one connection for new calls. When it is lost or drains, the next one is opened at once, or after a backoff if it
 * did not last. Draining connections continue until their calls have ended, even while no new connection can be established.
 */
export class Reconnector<C extends SingleConnection> implements SingleConnectionListener<C> {
  readonly #open: (listener: SingleConnectionListener<C>) => C
  readonly #onState: (state: ChannelState) => void
  readonly #draining = new Map<C, NodeJS.Timeout | undefined>()
  #current: Current<C> | undefined
  /** Running while there is no connection, and while a silent one is being replaced. */
  #attempts: ConnectAttempts<C> | undefined
  #isClosed = false

  constructor(open: (listener: SingleConnectionListener<C>) => C, onState: (state: ChannelState) => void) {
    this.#open = open
    this.#onState = onState
  }

  /** The connection for new calls; `undefined` while none is established. */
  get connected(): C | undefined {
    return this.#current?.connection
  }

  /** The connection for new calls, or the newest attempt while none is established. */
  get latest(): C | undefined {
    return this.#current?.connection ?? this.#attempts?.newest
  }

  connect(): void {
    this.#connect(0, (reason) => this.#onState({ kind: 'failed', reason }))
  }

  /** Opens a second connection beside a silent one; see `UnaryChannel.replaceConnection`. */
  replaceConnection(): void {
    const first = this.connected
    if (first === undefined || this.#attempts !== undefined) return
    const { bytesRead } = first
    this.#connect(0, (reason) => {
      if (this.connected === undefined) this.#onState({ kind: 'failed', reason })
      else if (this.connected.bytesRead !== bytesRead) this.#stopConnecting()
    })
  }

  close(): void {
    const current = this.connected
    this.#isClosed = true
    this.#current = undefined
    this.#stopConnecting()
    current?.close()
    for (const connection of [...this.#draining.keys()]) this.#end(connection)
  }

  onConnected(connection: C): void {
    const attempts = this.#attempts
    if (attempts?.connected(connection) !== true) return
    const first = this.connected
    this.#attempts = undefined
    this.#current = { connection, since: performance.now(), failures: attempts.failures }
    this.#onState({ kind: 'connected' })
    if (first !== undefined) this.#drainSilent(first)
  }

  onDraining(connection: C): void {
    if (connection === this.connected) {
      this.#draining.set(connection, undefined)
      this.#reconnect()
    } else if (this.#attempts?.lost(connection, undefined) === true) connection.close()
  }

  onLost(connection: C, reason: string | undefined): void {
    clearTimeout(this.#draining.get(connection))
    this.#draining.delete(connection)
    if (connection === this.connected) this.#reconnect()
    else this.#attempts?.lost(connection, reason)
  }

  #connect(failures: number, onFailed: (reason: string | undefined) => void): void {
    if (this.#isClosed) return
    this.#attempts = new ConnectAttempts(() => this.#open(this), { onFailed }, failures)
  }

  #stopConnecting(): void {
    this.#attempts?.close()
    this.#attempts = undefined
  }

  /** The current connection is gone. A running attempt to replace it takes the place of a new one. */
  #reconnect(): void {
    const current = this.#current
    this.#current = undefined
    if (current !== undefined && this.#attempts === undefined) {
      const wasOfUse = performance.now() - current.since > minLifetimeMs
      this.#connect(wasOfUse ? 0 : current.failures + 1, (reason) => this.#onState({ kind: 'failed', reason }))
    }
    this.#onState({ kind: 'connecting' })
  }

  #drainSilent(first: C): void {
    const { bytesRead } = first
    const timer = setTimeout(() => {
      if (first.bytesRead === bytesRead) this.#end(first)
    }, silentGraceMs)
    timer.unref()
    this.#draining.set(first, timer)
    first.drain()
  }

  #end(leaving: C): void {
    clearTimeout(this.#draining.get(leaving))
    if (this.#draining.delete(leaving)) leaving.close()
  }
}
