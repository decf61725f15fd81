import { once } from 'node:events'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { type CutKind, type CutOrder, ProxyConnection } from './proxy-connection.js'
import { type FlowFaults, noFaults, type ProxyDirection } from './proxy-flow.js'

/** Where the bytes of a data hook come from. */
export interface ProxyData {
  readonly direction: ProxyDirection
  /** The number of the connection, from 1. */
  readonly connection: number
}

/**
 * Receives each chunk as it arrives at the proxy. Returns undefined to forward it, other bytes to replace it, 'drop' to
 * lose it, or 'reset' or 'end' to lose it and cut the connection.
 */
export type ProxyDataHook = (bytes: Buffer, data: ProxyData) => Uint8Array | 'drop' | CutKind | undefined

/** A point in the byte stream at which the proxy cuts a connection. */
export interface CutPoint {
  readonly direction: ProxyDirection
  /** Number of bytes that still pass in this direction, over all connections; 0 loses the next byte. */
  readonly bytes: number
  /** How the connection is cut. @default 'reset' */
  readonly how?: CutKind
}

interface ArmedCut extends CutOrder {
  readonly direction: ProxyDirection
  bytesLeft: number
}

/**
 * A TCP proxy on 127.0.0.1 that injects network faults. Faults apply to open and new connections until they are changed
 * or `heal()` ends them. The proxy does not keep the process alive.
 *
 * @example
 * ```ts
 * import { FaultProxy } from 'etcdkit/testing'
 *
 * await using proxy = await FaultProxy.start('127.0.0.1:2379')
 * proxy.blackhole('down') // answers are lost from here on
 * proxy.heal()
 * ```
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

  /**
   * Starts a proxy.
   *
   * @param target `host:port` of the server
   * @param options `port`: the port to listen on; default a free one
   * @throws `TypeError` if `target` has no port
   */
  static async start(target: string, options: { readonly port?: number } = {}): Promise<FaultProxy> {
    const { port = 0 } = options
    const proxy = new FaultProxy(target)
    proxy.#server.listen({ port, host: '127.0.0.1', exclusive: true })
    await once(proxy.#server, 'listening')
    proxy.#server.unref()
    // A TCP server's address is never a string or null while it listens.
    proxy.#port = (proxy.#server.address() as AddressInfo).port
    return proxy
  }

  /** The port for clients, on 127.0.0.1. */
  get port(): number {
    return this.#port
  }

  /** The address for clients, `127.0.0.1:port`. */
  get endpoint(): string {
    return `127.0.0.1:${this.port}`
  }

  /** Connections accepted so far. */
  get accepted(): number {
    return this.#accepted
  }

  /** Connections that are open on at least one side. */
  get connections(): number {
    return this.#connections.size
  }

  /** Cuts all open connections on both sides. New connections are accepted. */
  cut({ how = 'reset' }: { readonly how?: CutKind } = {}): void {
    for (const connection of this.#connections) connection.cut(how)
  }

  /** Resets new connections immediately. Open connections are not affected. */
  refuse(): void {
    this.#refusing = true
  }

  /** Accepts new connections again. */
  accept(): void {
    this.#refusing = false
  }

  /**
   * Stops delivering bytes, FIN and RST in a direction and keeps all connections open.
   *
   * @param options `bytes`: `held` bytes arrive after `heal()`, as when a network recovers; `lost` bytes do not, and
   * `heal()` resets the connections that lost some. Default `held`
   */
  blackhole(direction: ProxyDirection | 'both' = 'both', options: { readonly bytes?: 'held' | 'lost' } = {}): void {
    const { bytes = 'held' } = options
    this.#change(direction, (faults) => {
      faults.held = bytes === 'held'
      faults.lost = bytes === 'lost'
    })
  }

  /**
   * Ends open connections in one direction: `down` sends FIN to the clients and leaves the connections to the server
   * open, `up` the other way round. Bytes still pass in the opposite direction.
   */
  halfOpen(direction: ProxyDirection = 'down'): void {
    for (const connection of this.#connections) connection.halfOpen(direction)
  }

  /** Delays all bytes. */
  delay(delayMs: number, direction: ProxyDirection | 'both' = 'both'): void {
    this.#change(direction, (faults) => {
      faults.delayMs = delayMs
    })
  }

  /** Limits the rate of each connection. @throws `RangeError` if the rate is not above 0 */
  throttle(bytesPerSecond: number, direction: ProxyDirection | 'both' = 'both'): void {
    if (!(bytesPerSecond > 0)) throw new RangeError(`\`bytesPerSecond\` must be above 0, got ${bytesPerSecond}`)
    this.#change(direction, (faults) => {
      faults.bytesPerSecond = bytesPerSecond
    })
  }

  /** Sets the hook for all further bytes; undefined removes it. */
  onData(hook: ProxyDataHook | undefined): void {
    this.#hook = hook
  }

  /**
   * Cuts a connection once, at a point in the byte stream. `{ direction: 'down', bytes: 0 }` loses the answer to the
   * next request. Delays, rate limits and black holes also apply to the last bytes and the cut.
   *
   * @returns a promise that resolves after the cut
   */
  cutAfter({ direction, bytes, how = 'reset' }: CutPoint): Promise<void> {
    return new Promise((resolve) => {
      this.#armedCut = { direction, bytesLeft: bytes, how, done: resolve }
    })
  }

  /** Ends all faults, hooks and cut points. Connections that lost bytes are reset. */
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
