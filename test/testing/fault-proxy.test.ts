import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { FaultProxy, poll, reservePort } from '../../src/testing/index.js'

/** One end of a connection, with what arrived there and how it ended. */
class Peer {
  readonly socket: Socket
  received = ''
  ended = false
  closed = false
  error: string | undefined

  constructor(socket: Socket) {
    this.socket = socket
    socket.on('data', (bytes) => {
      this.received += bytes
    })
    socket.on('end', () => {
      this.ended = true
    })
    socket.on('error', (error: NodeJS.ErrnoException) => {
      this.error = error.code
    })
    socket.on('close', () => {
      this.closed = true
    })
  }

  hasReceived(text: string): Promise<true> {
    return poll(`'${text}' arrives`, () => this.received === text || undefined)
  }

  isReset(): Promise<true> {
    return poll('the connection is reset', () => (this.closed && this.error === 'ECONNRESET') || undefined)
  }
}

describe('FaultProxy', () => {
  const servers: Peer[] = []
  const clients: Peer[] = []
  const listener = createServer({ allowHalfOpen: true }, (socket) => servers.push(new Peer(socket)))
  let proxy: FaultProxy

  beforeEach(async () => {
    listener.listen(0, '127.0.0.1')
    await once(listener, 'listening')
    proxy = await FaultProxy.start(`127.0.0.1:${(listener.address() as AddressInfo).port}`)
  })

  afterEach(async () => {
    await proxy.close()
    for (const { socket } of [...servers.splice(0), ...clients.splice(0)]) socket.destroy()
    listener.close()
    await once(listener, 'close')
  })

  function dial(): Peer {
    const client = new Peer(connect({ port: proxy.port, host: '127.0.0.1', allowHalfOpen: true }))
    clients.push(client)
    return client
  }

  async function dialThrough(): Promise<{ client: Peer; server: Peer }> {
    const count = servers.length
    const client = dial()
    const server = await poll('the server is reached', () => servers[count])
    return { client, server }
  }

  test('forwards bytes both ways and counts them', async () => {
    const { client, server } = await dialThrough()
    client.socket.write('question')
    await server.hasReceived('question')
    server.socket.write('answer')
    await client.hasReceived('answer')
    assert.deepEqual([proxy.bytesUp, proxy.bytesDown, proxy.accepted, proxy.connections], [8, 6, 1, 1])
  })

  test('forwards the end of each direction, and then removes the connection', async () => {
    const { client, server } = await dialThrough()
    client.socket.end('last words')
    await poll('the server sees the end', () => server.ended || undefined)
    assert.equal(server.received, 'last words')
    server.socket.end('late answer')
    await poll('the client is closed', () => client.closed || undefined)
    assert.equal(client.received, 'late answer')
    await poll('the connection is forgotten', () => proxy.connections === 0 || undefined)
    assert.equal(client.error, undefined)
  })

  test('forwards a reset', async () => {
    const { client, server } = await dialThrough()
    client.socket.resetAndDestroy()
    await server.isReset()
  })

  test('forwards megabytes to a slow reader without loss', async () => {
    const { client, server } = await dialThrough()
    const text = 'x'.repeat(5_000_000)
    server.socket.pause()
    client.socket.write(text)
    client.socket.end()
    await poll('the proxy is full', () => proxy.bytesUp > 0 || undefined)
    server.socket.resume()
    await poll('everything arrives', () => server.ended || undefined)
    assert.equal(server.received.length, text.length)
  })

  test('resets the client when the server is not running', async () => {
    const nowhere = await FaultProxy.start('127.0.0.1:1')
    const client = new Peer(connect(nowhere.port, '127.0.0.1'))
    clients.push(client)
    await client.isReset()
    await nowhere.close()
  })

  test('cuts open connections with a reset on both sides and accepts new ones', async () => {
    const { client, server } = await dialThrough()
    proxy.cut()
    await client.isReset()
    await server.isReset()
    await dialThrough()
    assert.equal(proxy.accepted, 2)
  })

  test('cuts open connections with a FIN on both sides on request', async () => {
    const { client, server } = await dialThrough()
    proxy.cut({ how: 'end' })
    await poll('both sides see the end', () => (client.ended && server.ended) || undefined)
    assert.deepEqual([client.error, server.error], [undefined, undefined])
  })

  test('cuts a connection that is just ending', async () => {
    await dialThrough()
    proxy.halfOpen()
    proxy.cut()
    await poll('the connection is forgotten', () => proxy.connections === 0 || undefined)
  })

  test('refuses new connections and leaves open ones alone', async () => {
    const { client, server } = await dialThrough()
    proxy.refuse()
    await dial().isReset()
    client.socket.write('still here')
    await server.hasReceived('still here')
    assert.deepEqual([proxy.accepted, proxy.refused], [1, 1])
    proxy.accept()
    await dialThrough()
  })

  test('holds everything in a black hole, also the end of a connection, and delivers it after healing', async () => {
    const { client, server } = await dialThrough()
    proxy.blackhole()
    client.socket.write('up')
    server.socket.write('down')
    const late = await dialThrough()
    late.client.socket.write('late')
    late.client.socket.end()
    await sleep(50)
    assert.deepEqual([client.received, server.received, late.server.received], ['', '', ''])
    assert.deepEqual([client.closed, server.closed, late.server.ended], [false, false, false])
    proxy.heal()
    await Promise.all([client.hasReceived('down'), server.hasReceived('up'), late.server.hasReceived('late')])
    await poll('the held end arrives', () => late.server.ended || undefined)
  })

  test('holds one direction on request', async () => {
    const { client, server } = await dialThrough()
    proxy.blackhole('down')
    client.socket.write('question')
    await server.hasReceived('question')
    server.socket.write('answer')
    await sleep(50)
    assert.equal(client.received, '')
  })

  test('resets a connection that lost bytes in a black hole when it heals', async () => {
    const { client, server } = await dialThrough()
    const whole = await dialThrough()
    proxy.blackhole('up', { bytes: 'lost' })
    client.socket.write('lost')
    await sleep(50)
    assert.equal(server.received, '')
    proxy.heal()
    await client.isReset()
    whole.client.socket.write('whole')
    await whole.server.hasReceived('whole')
  })

  test('ends one direction and leaves the other side unaware', async () => {
    const { client, server } = await dialThrough()
    proxy.halfOpen('down')
    await poll('the client sees the end', () => client.ended || undefined)
    client.socket.write('still going up')
    await server.hasReceived('still going up')
    client.socket.end()
    await sleep(50)
    assert.deepEqual([server.ended, server.closed], [false, false])
    proxy.heal()
    await server.isReset()
  })

  test('delays bytes', async () => {
    const { client, server } = await dialThrough()
    proxy.delay(100, 'up')
    const start = performance.now()
    client.socket.write('late')
    await server.hasReceived('late')
    const tookMs = performance.now() - start
    assert.ok(tookMs >= 99, `took ${tookMs} ms`)
    proxy.heal()
    client.socket.write('r')
    await server.hasReceived('later')
  })

  test('delivers delayed bytes immediately when it heals', async () => {
    const { client, server } = await dialThrough()
    proxy.delay(60_000)
    client.socket.write('early')
    await sleep(30)
    assert.equal(server.received, '')
    proxy.heal()
    await server.hasReceived('early')
  })

  test('throttles each connection', async () => {
    const { client, server } = await dialThrough()
    proxy.throttle(100_000)
    const start = performance.now()
    client.socket.write('x'.repeat(20_000))
    await poll('everything arrives', () => server.received.length === 20_000 || undefined)
    const tookMs = performance.now() - start
    assert.ok(tookMs >= 180, `took ${tookMs} ms`)
    assert.throws(() => proxy.throttle(0), RangeError)
  })

  test('passes bytes to a hook that passes, replaces or drops them', async () => {
    const { client, server } = await dialThrough()
    const seen: string[] = []
    proxy.onData((bytes, { direction, connection }) => {
      seen.push(`${connection} ${direction} ${bytes}`)
      if (direction === 'down') return 'drop'
      return bytes.includes('old') ? Buffer.from('new') : undefined
    })
    client.socket.write('old')
    await server.hasReceived('new')
    server.socket.write('dropped')
    await poll('the hook sees the answer', () => seen.length === 2 || undefined)
    proxy.onData(undefined)
    server.socket.write('kept')
    await client.hasReceived('kept')
    assert.deepEqual(seen, ['1 up old', '1 down dropped'])
  })

  test('lets a hook cut the connection instead of delivering the bytes', async () => {
    const { client, server } = await dialThrough()
    proxy.onData(() => 'reset')
    client.socket.write('never arrives')
    await client.isReset()
    await server.isReset()
    assert.equal(server.received, '')
  })

  test('delivers the request and loses the answer with cutAfter', async () => {
    const { client, server } = await dialThrough()
    const cut = proxy.cutAfter({ direction: 'down', bytes: 0 })
    client.socket.write('request')
    await server.hasReceived('request')
    server.socket.write('answer')
    await cut
    await client.isReset()
    assert.equal(client.received, '')
    const next = await dialThrough()
    next.server.socket.write('next')
    await next.client.hasReceived('next')
  })

  test('delivers exactly the bytes before a cut point', async () => {
    const { client, server } = await dialThrough()
    const cut = proxy.cutAfter({ direction: 'down', bytes: 5, how: 'end' })
    server.socket.write('123')
    await client.hasReceived('123')
    server.socket.write('456')
    await cut
    await poll('the client sees the end', () => client.ended || undefined)
    assert.equal(client.received, '12345')
  })

  test('delays the bytes before a cut point in their order, and the cut behind them', async () => {
    const { client, server } = await dialThrough()
    proxy.delay(100, 'up')
    const start = performance.now()
    const cut = proxy.cutAfter({ direction: 'up', bytes: 15, how: 'end' })
    const seen: string[] = []
    proxy.onData((bytes) => {
      seen.push(`${bytes}`)
    })
    client.socket.write('0123456789')
    await poll('the first bytes are under way', () => seen.length === 1 || undefined)
    client.socket.write('abcdefghij')
    await poll('the others are, too', () => seen.length === 2 || undefined)
    client.socket.write('too late')
    await cut
    const tookMs = performance.now() - start
    await poll('the server sees the end', () => server.ended || undefined)
    assert.equal(server.received, '0123456789abcde')
    assert.ok(tookMs >= 99, `cut after ${tookMs} ms`)
  })

  test('holds the bytes before a cut point, and the cut, in a black hole', async () => {
    const { client, server } = await dialThrough()
    proxy.blackhole('up')
    let isCut = false
    const cut = proxy.cutAfter({ direction: 'up', bytes: 3, how: 'end' }).then(() => {
      isCut = true
    })
    client.socket.write('abcdefghij')
    await sleep(50)
    assert.deepEqual([server.received, server.closed, client.closed, isCut], ['', false, false, false])
    proxy.heal()
    await cut
    await poll('the server sees the end', () => server.ended || undefined)
    assert.equal(server.received, 'abc')
  })

  test('ends the wait for a held cut when the connection is cut otherwise', async () => {
    for (const bytes of ['held', 'lost'] as const) {
      const { client } = await dialThrough()
      proxy.blackhole('up', { bytes })
      const cut = proxy.cutAfter({ direction: 'up', bytes: 3 })
      client.socket.write('abcdefghij')
      await sleep(50)
      if (bytes === 'held') proxy.cut()
      else proxy.heal()
      await cut
      await client.isReset()
      proxy.heal()
    }
  })

  test('listens on the requested port, and rejects a target without a port', async () => {
    const { port, release } = await reservePort()
    await using chosen = await FaultProxy.start('127.0.0.1:1', { port })
    assert.equal(chosen.endpoint, `127.0.0.1:${port}`)
    await assert.rejects(FaultProxy.start('localhost'), TypeError)
    await chosen.close()
    release()
    assert.equal(chosen.port, port)
  })
})
