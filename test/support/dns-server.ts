import { createSocket, type Socket } from 'node:dgram'
import { promises as dns } from 'node:dns'
import { once } from 'node:events'

/** One SRV record. */
export interface Srv {
  readonly priority: number
  readonly weight: number
  readonly port: number
  readonly target: string
}

/** The server's answer for a name: its records, or a failure. Other names do not exist. */
export type Answer = readonly Srv[] | 'server failure'

const responseCode = { ok: 0, serverFailure: 2, noSuchName: 3 }
const headerBytes = 12
const srvType = 33
const internet = 1

/** A DNS server on a free loopback port that knows SRV records and nothing else. */
export class DnsServer implements AsyncDisposable {
  /** Every name that it was asked for, in order. */
  readonly questions: string[] = []
  readonly #socket: Socket
  readonly #answers: ReadonlyMap<string, Answer>

  private constructor(socket: Socket, answers: ReadonlyMap<string, Answer>) {
    this.#socket = socket
    this.#answers = answers
    socket.on('message', (query, { address, port }) => socket.send(this.#reply(query), port, address))
  }

  /** Starts a server that knows `answers`, by the names that are asked for. */
  static async start(answers: { readonly [name: string]: Answer } | ReadonlyMap<string, Answer>): Promise<DnsServer> {
    const socket = createSocket('udp4')
    socket.bind(0, '127.0.0.1')
    await once(socket, 'listening')
    return new DnsServer(socket, answers instanceof Map ? answers : new Map(Object.entries(answers)))
  }

  /** A resolver that asks this server alone, once. */
  resolver(): dns.Resolver {
    const resolver = new dns.Resolver({ tries: 1, timeout: 5000 })
    resolver.setServers([`127.0.0.1:${this.#socket.address().port}`])
    return resolver
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#socket, 'close')
    this.#socket.close()
    await closed
  }

  #reply(query: Buffer): Buffer {
    const { name, end } = readName(query)
    this.questions.push(name)
    const answer = this.#answers.get(name)
    if (answer === undefined) return message(query, end, responseCode.noSuchName, [])
    if (answer === 'server failure') return message(query, end, responseCode.serverFailure, [])
    return message(query, end, responseCode.ok, answer)
  }
}

/** The name in the first question, and where that question ends. */
function readName(query: Buffer): { readonly name: string; readonly end: number } {
  const labels: string[] = []
  let at = headerBytes
  for (let length = query.readUInt8(at); length > 0; length = query.readUInt8(at)) {
    labels.push(query.toString('latin1', at + 1, at + 1 + length))
    at += 1 + length
  }
  // The empty label that ends the name, then type and class.
  return { name: labels.join('.'), end: at + 1 + 4 }
}

function message(query: Buffer, questionEnd: number, code: number, records: readonly Srv[]): Buffer {
  const header = Buffer.alloc(headerBytes)
  query.copy(header, 0, 0, 2)
  // A response, authoritative, with recursion desired and available.
  header.writeUInt16BE(0x8580 | code, 2)
  header.writeUInt16BE(1, 4)
  header.writeUInt16BE(records.length, 6)
  return Buffer.concat([header, query.subarray(headerBytes, questionEnd), ...records.map(record)])
}

function record({ priority, weight, port, target }: Srv): Buffer {
  const data = Buffer.concat([uint16(priority), uint16(weight), uint16(port), encodedName(target)])
  const ttlSeconds = Buffer.alloc(4)
  // The name is a pointer to the one in the question.
  return Buffer.concat([
    uint16(0xc000 | headerBytes),
    uint16(srvType),
    uint16(internet),
    ttlSeconds,
    uint16(data.length),
    data,
  ])
}

function encodedName(name: string): Buffer {
  const labels = name.split('.').filter((label) => label !== '')
  const parts = labels.map((label) => Buffer.concat([Buffer.of(label.length), Buffer.from(label, 'latin1')]))
  return Buffer.concat([...parts, Buffer.of(0)])
}

function uint16(value: number): Buffer {
  return Buffer.of(value >> 8, value & 0xff)
}
