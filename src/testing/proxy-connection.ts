import { connect, type Socket } from 'node:net'
import { type FlowFaults, type ProxyDirection, ProxyFlow } from './proxy-flow.js'
import { resetSocket } from './reset-socket.js'

/** `reset` sends RST, `end` sends FIN. */
export type CutKind = 'reset' | 'end'

/** A cut that waits for the bytes before it. */
export interface CutOrder {
  readonly how: CutKind
  readonly done: () => void
}

/** What a connection needs from its proxy. */
export interface ProxyConnectionSetup {
  readonly id: number
  readonly client: Socket
  readonly target: { readonly host: string; readonly port: number }
  readonly faults: Readonly<Record<ProxyDirection, FlowFaults>>
  /** Sees bytes as they arrive; returns what is to go on, or undefined when the connection was cut meanwhile. */
  readonly inspect: (connection: ProxyConnection, direction: ProxyDirection, bytes: Buffer) => Buffer | undefined
  readonly onDelivered: (direction: ProxyDirection, byteCount: number) => void
  readonly onClose: (connection: ProxyConnection) => void
}

/** A client's connection and the one to the server that belongs to it. */
export class ProxyConnection {
  /** Counts the proxy's connections from 1. */
  readonly id: number
  readonly #client: Socket
  readonly #server: Socket
  readonly #flows: Readonly<Record<ProxyDirection, ProxyFlow>>
  readonly #setup: ProxyConnectionSetup
  /** The side that is kept unaware of the other side's end. */
  #unawareSide: Socket | undefined
  #open = true
  /** Called when the connection was cut. */
  readonly #onCut: (() => void)[] = []

  constructor(setup: ProxyConnectionSetup) {
    const { id, client, target, faults, onDelivered } = setup
    const server = connect({ ...target, noDelay: true, allowHalfOpen: true }).unref()
    this.id = id
    this.#setup = setup
    this.#client = client
    this.#server = server
    this.#flows = {
      up: new ProxyFlow(client, server, faults.up, (byteCount) => onDelivered('up', byteCount)),
      down: new ProxyFlow(server, client, faults.down, (byteCount) => onDelivered('down', byteCount)),
    }
    this.#follow(client, 'up')
    this.#follow(server, 'down')
  }

  /** True when bytes were lost, or one side was ended behind the other's back. */
  get isDamaged(): boolean {
    return this.#flows.up.damaged || this.#flows.down.damaged
  }

  /** Ends both sides. What was queued for them is dropped. */
  cut(how: CutKind): void {
    this.#flows.up.stop()
    this.#flows.down.stop()
    for (const socket of [this.#client, this.#server]) {
      if (how === 'reset') resetSocket(socket)
      else socket.end(() => socket.destroy())
    }
    this.#tellCut()
  }

  /** Delivers these last bytes, as faults allow, and then ends both sides. Calls `done` when they have ended, by this or otherwise. */
  cutAfter(direction: ProxyDirection, bytes: Buffer, { how, done }: CutOrder): void {
    this.#onCut.push(done)
    this.#flows[direction].finishWith(bytes, () => this.cut(how))
  }

  /** Sends FIN in one direction and keeps the far end of it unaware of what the other side does then. */
  halfOpen(direction: ProxyDirection): void {
    this.#unawareSide = direction === 'down' ? this.#server : this.#client
    this.#flows[direction].endSink()
  }

  /** Delivers what changed faults now allow. */
  pump(): void {
    this.#flows.up.pump()
    this.#flows.down.pump()
  }

  #follow(source: Socket, direction: ProxyDirection): void {
    const flow = this.#flows[direction]
    const finish = (kind: 'end' | 'reset') => {
      const sink = direction === 'up' ? this.#server : this.#client
      if (sink !== this.#unawareSide) flow.finish(kind)
    }
    source.on('data', (bytes) => {
      if (flow.sealed) return
      const passed = this.#setup.inspect(this, direction, bytes)
      if (passed !== undefined && passed.length > 0) flow.push(passed)
    })
    source.on('end', () => finish('end'))
    source.on('error', () => finish('reset'))
    source.on('close', () => this.#onSocketClose())
  }

  #onSocketClose(): void {
    if (!this.#open || !this.#client.destroyed || !this.#server.destroyed) return
    this.#open = false
    this.#tellCut()
    this.#setup.onClose(this)
  }

  #tellCut(): void {
    for (const done of this.#onCut.splice(0)) done()
  }
}
