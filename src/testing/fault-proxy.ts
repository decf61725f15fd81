import { once } from 'node:events'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { type CutKind, type CutOrder, ProxyConnection } from './proxy-connection.js'
import { type FlowFaults, noFaults, type ProxyDirection } from './proxy-flow.js'

/** What a data hook learns about the bytes that it is shown. */
export interface ProxyData {
  readonly direction: ProxyDirection
  /** Counts the proxy's connections from 1. */
  readonly connection: number
}

/**
 * Sees each piece of bytes as it arrives at the proxy. Returns nothing to let it pass, other bytes to send in its
 * place, 'drop' to lose it, or 'reset' or 'end' to lose it and cut the connection.
 */
export type ProxyDataHook = (bytes: Buffer, data: ProxyData) => Uint8Array | 'drop' | CutKind | undefined

/** A point in the byte stream at which the proxy cuts a connection. */
export interface CutPoint {
  readonly direction: ProxyDirection
  /** Bytes that still pass in this direction from now on, over all connections. 0 loses the very next ones. */
  readonly bytes: number
  /** @default 'reset' */
  readonly how?: CutKind
}

interface ArmedCut extends CutOrder {
  readonly direction: ProxyDirection
  bytesLeft: number
}

/**
 * A TCP proxy on 127.0.0.1 that can misbehave like a network. Faults hold for open and for new connections alike until
 * they are changed or `heal()` ends them. It does not keep the event loop alive.
 */
export class FaultProxy {
  /** Connections refused so far. */
  refused = 0
  /** Bytes delivered to the server so far. */
  bytesUp = 0
  /** Bytes delivered to clients so far. */
  bytesDown = 0
  readonly #target: { readonly host: string; readonly port: number }
  readonly #server: Server
  readonly #connections = new Set<ProxyConnection>()
  readonly #faults: Readonly<Record<ProxyDirection, FlowFaults>> = { up: noFaults(), down: noFaults() }
  #port = 0
  #accepted = 0
  #refusing = false
  #hook: ProxyDataHook | undefined
  #armedCut: ArmedCut | undefined

  private constructor(target: string) {
    const [, host, port] = /^(?:https?:\/\/)?(.+):(\d+)$/.exec(target) ?? []
    if (host === undefined) throw new TypeError(`\`target\` must be host:port, got '${target}'`)
    this.#target = { host, port: Number(port) }
    this.#server = createServer({ noDelay: true, allowHalfOpen: true }, (client) => this.#onConnection(client))
  }

  /** Starts a proxy to `host:port`, on the given port or a free one. */
  static async start(target: string, { port = 0 }: { readonly port?: number } = {}): Promise<FaultProxy> {
    const proxy = new FaultProxy(target)
    proxy.#server.listen({ port, host: '127.0.0.1', exclusive: true })
    await once(proxy.#server, 'listening')
    proxy.#server.unref()
    // A TCP server's address is never a string or null while it listens.
    proxy.#port = (proxy.#server.address() as AddressInfo).port
    return proxy
  }

  /** The port on 127.0.0.1 that clients connect to. */
  get port(): number {
    return this.#port
  }

  /** What clients connect to, as `127.0.0.1:port`. */
  get endpoint(): string {
    return `127.0.0.1:${this.port}`
  }

  /** Connections accepted so far. */
  get accepted(): number {
    return this.#accepted
  }

  /** Connections that are open now, on at least one side. */
  get connections(): number {
    return this.#connections.size
  }

  /** Ends all open connections, towards both sides. New ones are accepted. */
  cut({ how = 'reset' }: { readonly how?: CutKind } = {}): void {
    for (const connection of this.#connections) connection.cut(how)
  }

  /** Resets new connections at once; open ones go on. */
  refuse(): void {
    this.#refusing = true
  }

  /** Accepts new connections again. */
  accept(): void {
    this.#refusing = false
  }

  /**
   * Stops delivering bytes, FIN and RST in a direction, with every connection left open. Held bytes arrive after
   * `heal()`, as they do when a broken network recovers; lost ones do not, and `heal()` resets connections that miss
   * some.
   */
  blackhole(
    direction: ProxyDirection | 'both' = 'both',
    { bytes = 'held' }: { readonly bytes?: 'held' | 'lost' } = {},
  ): void {
    this.#change(direction, (faults) => {
      faults.held = bytes === 'held'
      faults.lost = bytes === 'lost'
    })
  }

  /**
   * Ends open connections in one direction only: `down` sends FIN to the clients and leaves the server with
   * connections that nobody tells it about, `up` the other way round. Bytes in the opposite direction go on.
   */
  halfOpen(direction: ProxyDirection = 'down'): void {
    for (const connection of this.#connections) connection.halfOpen(direction)
  }

  /** Delivers everything this much later. */
  delay(delayMs: number, direction: ProxyDirection | 'both' = 'both'): void {
    this.#change(direction, (faults) => {
      faults.delayMs = delayMs
    })
  }

  /** Limits each connection to this rate. */
  throttle(bytesPerSecond: number, direction: ProxyDirection | 'both' = 'both'): void {
    if (!(bytesPerSecond > 0)) throw new RangeError(`\`bytesPerSecond\` must be above 0, got ${bytesPerSecond}`)
    this.#change(direction, (faults) => {
      faults.bytesPerSecond = bytesPerSecond
    })
  }

  /** Shows all further bytes to a hook, which replaces the one before; undefined takes it away. */
  onData(hook: ProxyDataHook | undefined): void {
    this.#hook = hook
  }

  /**
   * Lets so many more bytes pass in a direction and then cuts the connection that carries the next one, once. Resolves
   * when that has happened. `{ direction: 'down', bytes: 0 }` loses the answer to the next request. Delays, limits and
   * black holes hold the last bytes and the cut behind them like all others.
   */
  cutAfter({ direction, bytes, how = 'reset' }: CutPoint): Promise<void> {
    return new Promise((resolve) => {
      this.#armedCut = { direction, bytesLeft: bytes, how, done: resolve }
    })
  }

  /** Ends all faults, hooks and cut points; connections whose byte stream has a hole are reset. */
  heal(): void {
    this.#refusing = false
    this.#hook = undefined
    this.#armedCut = undefined
    for (const connection of this.#connections) {
      if (connection.isDamaged) connection.cut('reset')
    }
    this.#change('both', (faults) => Object.assign(faults, noFaults()))
  }

  /** Resets all connections and stops listening. */
  async close(): Promise<void> {
    if (!this.#server.listening) return
    const closed = once(this.#server, 'close')
    this.#server.close()
    this.cut()
    await closed
  }

  /** Same as `close()`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #onConnection(client: Socket): void {
    client.unref()
    if (this.#refusing) {
      this.refused++
      client.resetAndDestroy()
      return
    }
    this.#accepted++
    this.#connections.add(
      new ProxyConnection({
        id: this.#accepted,
        client,
        target: this.#target,
        faults: this.#faults,
        inspect: (connection, direction, bytes) => this.#inspect(connection, direction, bytes),
        onDelivered: (direction, byteCount) => this.#count(direction, byteCount),
        onClose: (connection) => this.#connections.delete(connection),
      }),
    )
  }

  #count(direction: ProxyDirection, byteCount: number): void {
    if (direction === 'up') this.bytesUp += byteCount
    else this.bytesDown += byteCount
  }

  #inspect(connection: ProxyConnection, direction: ProxyDirection, bytes: Buffer): Buffer | undefined {
    const verdict = this.#hook?.(bytes, { direction, connection: connection.id })
    if (verdict === 'drop') return undefined
    if (verdict === 'reset' || verdict === 'end') {
      connection.cut(verdict)
      return undefined
    }
    return this.#passCutPoint(connection, direction, verdict ? Buffer.from(verdict) : bytes)
  }

  #passCutPoint(connection: ProxyConnection, direction: ProxyDirection, bytes: Buffer): Buffer | undefined {
    const cut = this.#armedCut
    if (cut?.direction !== direction) return bytes
    if (cut.bytesLeft >= bytes.length) {
      cut.bytesLeft -= bytes.length
      return bytes
    }
    this.#armedCut = undefined
    connection.cutAfter(direction, bytes.subarray(0, cut.bytesLeft), cut)
    return undefined
  }

  #change(direction: ProxyDirection | 'both', change: (faults: FlowFaults) => void): void {
    if (direction !== 'down') change(this.#faults.up)
    if (direction !== 'up') change(this.#faults.down)
    for (const connection of this.#connections) connection.pump()
  }
}
