import assert from 'node:assert/strict'
import dns from 'node:dns'
import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { after, before, describe, mock, type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { poll } from '../../src/testing/index.js'
import { useCluster } from '../support/cluster.js'
import { memberAt } from '../support/cluster-view.js'
import { createClient } from '../support/fixtures.js'
import { within } from '../support/slack.js'

const host = '127.0.0.1'
/** Long enough for a backoff that keeps growing to show. */
const staleMs = 9500
/** Where names lead. */
const addresses = new Map<string, string>()

/** The address that the member has at first: leads to where it will be. */
class FormerAddress {
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  #isSilent = false

  constructor(t: TestContext, formerHost: string, port: number) {
    this.#server = createServer((client) => {
      this.#keep(client)
      if (this.#isSilent) return
      const member = connect(port, host)
      this.#keep(member)
      client.pipe(member).pipe(client)
    })
    this.#server.listen(port, formerHost)
    t.after(() => this.refuse())
  }

  listening(): Promise<unknown> {
    return once(this.#server, 'listening')
  }

  /** Takes connections, and says nothing on any. */
  fallSilent(): void {
    this.#isSilent = true
    for (const socket of this.#sockets) socket.unpipe().pause()
  }

  refuse(): void {
    this.#server.close()
    for (const socket of this.#sockets) socket.destroy()
  }

  #keep(socket: Socket): void {
    this.#sockets.add(socket)
    socket.on('error', () => {})
  }
}

type Found = (error: null, ...found: unknown[]) => void

/** Makes names lead where `addresses` says, for all lookups of this process. */
function mockLookups(): void {
  const found = (hostname: string) => ({ address: addresses.get(hostname) ?? hostname, family: 4 })
  const lookup = (hostname: string, options: Found | { readonly all?: boolean }, callback: Found): void => {
    const { address, family } = found(hostname)
    const done = typeof options === 'function' ? options : callback
    const isAll = typeof options !== 'function' && options.all === true
    process.nextTick(() => (isAll ? done(null, [{ address, family }]) : done(null, address, family)))
  }
  const lookupAll = async (hostname: string) => [found(hostname)]
  mock.method(dns, 'lookup', lookup as typeof dns.lookup)
  mock.method(dns.promises, 'lookup', lookupAll as unknown as typeof dns.promises.lookup)
}

describe('A member whose name resolves to a new address', { concurrency: true }, () => {
  const cluster = useCluster()

  before(() => mockLookups())
  after(() => mock.restoreAll())

  const cases = [
    { transport: 'grpc-js', reaction: 'refuse' },
    { transport: 'grpc-js', reaction: 'fallSilent' },
    { transport: 'http2', reaction: 'refuse' },
    { transport: 'http2', reaction: 'fallSilent' },
  ] as const

  for (const [index, { transport, reaction }] of cases.entries()) {
    test(`is found within five seconds by ${transport} when its former address ${reaction === 'refuse' ? 'refuses connections' : 'is silent'}`, async (t) => {
      const port = Number(new URL(memberAt(cluster, 0).clientUrl).port)
      const [name, formerHost] = [`member-${index}.test`, `127.0.0.${index + 2}`]
      const former = new FormerAddress(t, formerHost, port)
      await former.listening()
      addresses.set(name, formerHost)
      const etcd = createClient(t, { endpoints: [`http://${name}:${port}`] }, { transport })
      await etcd.put('key', 'value')

      former[reaction]()
      // The name is stale for a while: attempts are made, and fail or hang, meanwhile.
      const found = poll('a read succeeds', async () => {
        await etcd.get('key', { timeoutMs: 20_000 })
        return true
      })
      await sleep(staleMs)
      addresses.set(name, host)
      const movedAt = performance.now()
      await found
      const tookMs = performance.now() - movedAt
      t.diagnostic(`found after ${tookMs.toFixed()} ms`)
      assert.ok(tookMs < within(5000))
    })
  }
})
