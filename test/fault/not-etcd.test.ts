import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { describe, test } from 'node:test'
import { Etcd, get, isEtcdError } from '../../src/index.js'
import { startCluster } from '../support/cluster.js'
import { memberAt, proxyAt } from '../support/cluster-view.js'
import { GrpcServer } from '../support/grpc-server.js'
import { within } from '../support/slack.js'

/** Listens on 127.0.0.1 and answers whatever comes first as `answer` does. */
async function listen(answer: (socket: Socket) => void) {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.once('data', () => answer(socket))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  // A TCP server's address is never a string or null while it listens.
  const { port } = server.address() as AddressInfo
  return {
    endpoint: `http://127.0.0.1:${port}`,
    [Symbol.dispose]() {
      for (const socket of sockets) socket.destroy()
      server.close()
    },
  }
}

async function assertFails(endpoint: string): Promise<void> {
  await using etcd = new Etcd({ endpoints: endpoint, timeoutMs: 800 })
  for (const call of [() => etcd.get('key'), () => etcd.put('key', 'value')]) {
    const startedAt = performance.now()
    await assert.rejects(call(), (error) => isEtcdError(error) && error.message.includes(endpoint))
    const tookMs = performance.now() - startedAt
    assert.ok(tookMs < within(1050), `it took ${tookMs} ms`)
  }
}

describe('An endpoint that is not etcd', () => {
  test('causes a typed error when it speaks HTTP/1.1', async () => {
    const answer = 'HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n'
    using server = await listen((socket) => socket.end(answer))
    await assertFails(server.endpoint)
  })

  test('causes a typed error when it sends random bytes', async () => {
    using server = await listen((socket) => socket.write(randomBytes(4096)))
    await assertFails(server.endpoint)
  })

  test('causes a typed error when it closes after the first bytes', async () => {
    using server = await listen((socket) => socket.end())
    await assertFails(server.endpoint)
  })

  test('acknowledges no write when it answers every call with success and an empty message', async () => {
    await using server = await GrpcServer.start((call) => call.reply(''))
    await using etcd = new Etcd({ endpoints: server.endpoint })
    const calls = [etcd.put('key', 'value'), etcd.delete('key'), etcd.compact(1), etcd.txn().then(get('key')).commit()]
    const isRefused = { code: 'PROTOCOL_ERROR', message: /not an etcd member/, endpoint: server.endpoint }
    for (const call of [...calls, etcd.get('key'), etcd.get('key', { mode: 'serializable' })]) {
      await assert.rejects(call, isRefused)
    }
    await assert.rejects(etcd.put('key', 'value'), { effect: 'unknown' })
  })
})

describe('A network that corrupts bytes', () => {
  test('causes typed errors, and the connection is replaced afterwards', async (t) => {
    const cluster = await startCluster(t, { proxy: true })
    await using etcd = new Etcd({ endpoints: memberAt(cluster, 0).endpoint, timeoutMs: 1000 })
    await etcd.put('key', 'value')
    const proxy = proxyAt(cluster, 0)
    proxy.onData((bytes, { direction }) => {
      if (direction === 'up') return undefined
      const damaged = Buffer.from(bytes)
      damaged[0] = (damaged[0] ?? 0) ^ 0xff
      return damaged
    })
    await assert.rejects(etcd.get('key'), (error) => isEtcdError(error))
    proxy.onData(undefined)
    assert.equal((await etcd.get('key', { timeoutMs: 10_000 }))?.valueText, 'value')
  })
})
