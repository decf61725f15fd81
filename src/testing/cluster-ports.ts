import { type ReservedPort, reservePort, tryReservePort } from './ports.js'

/** The ports of one member. */
export interface MemberPorts {
  readonly clientPort: number
  readonly peerPort: number
}

/** The ports of a cluster, reserved until the cluster stops. */
export class ClusterPorts {
  readonly #firstPort: number | undefined
  readonly #reserved: ReservedPort[] = []

  /** With a first port, the ports of the members follow each other from there: client port, peer port, next member. */
  constructor(firstPort: number | undefined) {
    if (firstPort !== undefined && !(Number.isInteger(firstPort) && firstPort > 0 && firstPort < 65_535)) {
      throw new TypeError(`\`port\` must be a port number, got ${firstPort}`)
    }
    this.#firstPort = firstPort
  }

  /** Reserves the ports of the member with this index. */
  async forMember(index: number): Promise<MemberPorts> {
    if (this.#firstPort === undefined) return { clientPort: await this.any(), peerPort: await this.any() }
    const clientPort = this.#firstPort + 2 * index
    return this.exactly({ clientPort, peerPort: clientPort + 1 })
  }

  /** Reserves these ports. */
  async exactly({ clientPort, peerPort }: MemberPorts): Promise<MemberPorts> {
    for (const port of [clientPort, peerPort]) {
      const reserved = await tryReservePort(port)
      if (reserved === undefined) throw new PortInUseError(port)
      this.#reserved.push(reserved)
    }
    return { clientPort, peerPort }
  }

  /** Reserves any free port. */
  async any(): Promise<number> {
    const reserved = await reservePort()
    this.#reserved.push(reserved)
    return reserved.port
  }

  release(): void {
    for (const port of this.#reserved) port.release()
  }
}

/** A port that a cluster needs is in use. */
export class PortInUseError extends Error {
  override readonly name = 'PortInUseError'
  readonly port: number

  constructor(port: number) {
    super(`port ${port} of 127.0.0.1 is in use`)
    this.port = port
  }
}
