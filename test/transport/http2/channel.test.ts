import assert from 'node:assert/strict'
import { constants } from 'node:http2'
import { createServer } from 'node:net'
import { describe, type TestContext, test } from 'node:test'
import { FaultProxy, poll } from '../../../src/testing/index.js'
import type { CallStatus } from '../../../src/transport/channel.js'
import { parseEndpoints } from '../../../src/transport/endpoint.js'
import { commonHeaders } from '../../../src/transport/http2/dial.js'
import { TestChannel, type TestChannelOptions } from '../../support/channel.js'
import { framed, GrpcServer, type ServedCall } from '../../support/grpc-server.js'
import { within } from '../../support/slack.js'

/** A server that responds by `serve`, and a channel that is connected to it. */
async function connected(
  t: TestContext,
  serve: (call: ServedCall, index: number) => void,
  options: Parameters<typeof GrpcServer.start>[1] & TestChannelOptions = {},
): Promise<{ server: GrpcServer; channel: TestChannel }> {
  const { keepaliveMs = 10_000, keepaliveTimeoutMs = 5000, lastStreamId, ...listening } = options
  const server = await GrpcServer.start(serve, listening)
  t.after(() => server[Symbol.asyncDispose]())
  const channel = new TestChannel(t, server.endpoint, { keepaliveMs, keepaliveTimeoutMs, lastStreamId })
  await channel.connected()
  return { server, channel }
}

const echo = (call: ServedCall): void => call.reply(call.message)

describe('A call over HTTP/2', () => {
  test('is sent as gRPC specifies, and returns the response', async (t) => {
    const { server, channel } = await connected(t, echo)
    assert.deepEqual(await channel.call('hello'), { message: 'hello', status: { code: 0, details: '' } })
    const headers = server.calls[0]?.headers ?? {}
    assert.equal(headers[':method'], 'POST')
    assert.equal(headers[':path'], '/test/Method')
    assert.equal(headers[':scheme'], 'http')
    assert.equal(headers[':authority'], `127.0.0.1:${server.port}`)
    assert.equal(headers['content-type'], 'application/grpc')
    assert.equal(headers.te, 'trailers')
    assert.equal(headers.token, 'secret')
  })

  test('has the scheme and the authority of its endpoint', () => {
    for (const [url, authority] of [
      ['http://10.0.0.1:2379', '10.0.0.1:2379'],
      ['https://[fd00::1]:2379', '[fd00::1]:2379'],
      ['unix:/run/etcd', 'localhost'],
      ['unixs:/run/etcd', 'localhost'],
    ] as const) {
      const [endpoint] = parseEndpoints(url, { hasTls: false })
      const headers = new Map(endpoint && commonHeaders(endpoint))
      const scheme = /^(https|unixs):/.test(url) ? 'https' : 'http'
      assert.deepEqual([headers.get(':scheme'), headers.get(':authority')], [scheme, authority])
    }
  })

  test('is sent over a Unix socket', async (t) => {
    const path = `/tmp/etcdkit-channel-${process.pid}.sock`
    const { channel, server } = await connected(t, echo, { path })
    assert.equal((await channel.call('hello')).message, 'hello')
    assert.equal(server.calls[0]?.headers[':authority'], 'localhost')
  })

  test('is sent over a new connection when the stream IDs are used up', async (t) => {
    const { server, channel } = await connected(t, (call) => void setTimeout(() => echo(call), 150), {
      lastStreamId: 5,
    })
    const early = [channel.call('1'), channel.call('2'), channel.call('3')]
    await channel.connected(2)
    const late = channel.call('4')
    assert.deepEqual(
      (await Promise.all([...early, late])).map(({ message }) => message),
      ['1', '2', '3', '4'],
    )
    assert.deepEqual([server.calls.length, server.accepted], [4, 2])
    await poll('the first one is closed', () => server.sessions.size === 1 || undefined)
  })

  test('transfers empty and large messages both ways, in pieces of any size', async (t) => {
    const large = Buffer.alloc(5_000_000, 'abcdefg')
    const { channel } = await connected(t, (call) => {
      const bytes = framed(call.message)
      if (call.message.length > 100) call.reply(call.message)
      else call.replyRaw([bytes.subarray(0, 3), bytes.subarray(3, 7), bytes.subarray(7)])
    })
    assert.equal((await channel.call('in pieces')).message, 'in pieces')
    assert.equal((await channel.call('')).message, '')
    const { message } = await channel.call(large)
    assert.ok(message === large.toString('latin1'))
  })

  test('sends its deadline, rounded up, and ends by the clock of the client', async (t) => {
    const { server, channel } = await connected(t, () => {})
    const startedAt = performance.now()
    const { status } = await channel.call('x', 150)
    const tookMs = performance.now() - startedAt
    assert.deepEqual(status, { code: 4, details: 'Deadline exceeded', sent: true })
    assert.ok(tookMs >= 149, `it took ${tookMs} ms`)
    const [call] = server.calls
    assert.match(String(call?.headers['grpc-timeout']), /^1[0-5]0m$/)
    assert.equal(await call?.reset, constants.NGHTTP2_CANCEL)
  })

  test('expires each of many calls at its deadline, in any order', async (t) => {
    const { channel } = await connected(t, () => {})
    const timeouts = [500, 50, 400, 60, 70]
    const startedAt = performance.now()
    const tookMs = await Promise.all(
      timeouts.map((ms) => channel.call('x', ms).then(() => performance.now() - startedAt)),
    )
    timeouts.forEach((ms, index) => {
      assert.ok((tookMs[index] ?? 0) >= ms - 1, `${ms}: ${tookMs[index]}`)
    })
    assert.ok(Math.max(...tookMs.slice(3)) < Math.min(tookMs[0] ?? 0, tookMs[2] ?? 0))
  })

  test('sends no timeout without a deadline', async (t) => {
    const { server, channel } = await connected(t, echo)
    await channel.call('x', Number.POSITIVE_INFINITY)
    assert.equal(server.calls[0]?.headers['grpc-timeout'], undefined)
  })

  test('resets its stream when it is cancelled, and reports nothing more', async (t) => {
    const { server, channel } = await connected(t, () => {})
    const { call, outcome } = channel.start()
    outcome.then(() => assert.fail('it must stay silent'))
    const served = await poll('it is there', () => server.calls[0])
    call.cancelWithStatus(1, '')
    assert.equal(await served.reset, constants.NGHTTP2_CANCEL)
  })

  test('waits while the member allows no more streams', async (t) => {
    const open: ServedCall[] = []
    let most = 0
    const { server, channel } = await connected(
      t,
      (call) => {
        open.push(call)
        most = Math.max(most, open.length)
      },
      { settings: { maxConcurrentStreams: 2 } },
    )
    const calls = Array.from({ length: 6 }, (_, index) => channel.start(`${index}`))
    const late = channel.start('never sent', 50)
    calls[4]?.call.cancelWithStatus(1, '')
    assert.deepEqual((await late.outcome).status, { code: 4, details: 'Deadline exceeded', sent: false })
    while (server.calls.length < 5 || open.length > 0) {
      const call = await poll('one is served', () => open.shift())
      call.reply(call.message)
      await call.reset
    }
    const answers = await Promise.all(calls.filter((_, index) => index !== 4).map(({ outcome }) => outcome))
    assert.deepEqual(
      answers.map(({ message }) => message),
      ['0', '1', '2', '3', '5'],
    )
    assert.equal(most, 2)
    assert.deepEqual(
      server.calls.map(({ message }) => message.toString()),
      ['0', '1', '2', '3', '5'],
    )
  })
})

describe('A response over HTTP/2', () => {
  async function statusOf(t: TestContext, answer: (call: ServedCall) => void): Promise<CallStatus> {
    const { channel } = await connected(t, answer)
    const { message, status } = await channel.call()
    assert.equal(message, undefined)
    return status
  }

  test('may consist of trailers only, with a percent-encoded message', async (t) => {
    const texts = [
      ['plain', 'plain'],
      ['r%C3%A9sum%c3%a9 50%25', 'résumé 50%'],
      ['100% of %zz and %4', '100% of %zz and %4'],
      ['%ff', '\ufffd'],
    ]
    for (const [wire, text] of texts) {
      const headers = { 'grpc-status': '9', 'grpc-message': wire ?? '' }
      assert.deepEqual(await statusOf(t, (call) => call.replyHeaders(headers)), { code: 9, details: text })
    }
  })

  test('with an error status after a message drops the message', async (t) => {
    const trailers = { 'grpc-status': '5', 'grpc-message': 'not found' }
    const status = await statusOf(t, (call) => call.replyRaw([framed('half an answer')], trailers))
    assert.deepEqual(status, { code: 5, details: 'not found' })
  })

  test('without a gRPC status is mapped from its HTTP status', async (t) => {
    const codes: Record<number, number> = {
      200: 2,
      400: 13,
      401: 16,
      403: 7,
      404: 12,
      429: 14,
      500: 2,
      502: 14,
      503: 14,
      504: 14,
    }
    for (const [httpStatus, code] of Object.entries(codes)) {
      const status = await statusOf(t, (call) => call.replyHeaders({ ':status': Number(httpStatus) }))
      assert.deepEqual([status.code, status.details.includes(httpStatus)], [code, true], httpStatus)
      const page = await statusOf(t, ({ stream }) => {
        stream.respond({ ':status': Number(httpStatus), 'content-type': 'text/html' })
        stream.end('<html>Gateway</html>')
      })
      if (httpStatus !== '200') assert.equal(page.code, code, httpStatus)
      else assert.equal(page.code, 13)
    }
  })

  test('that is compressed, truncated, or has two messages is an error', async (t) => {
    const whole = framed('message')
    const cases = [
      [[framed('message', 1)], /compressed/],
      [[whole.subarray(0, 9)], /within a message/],
      [[whole.subarray(0, 3)], /within a message/],
      [[whole, whole], /more than one/],
      [[Buffer.concat([whole, whole])], /more than one/],
    ] as const
    for (const [bytes, text] of cases) {
      const status = await statusOf(t, (call) => call.replyRaw(bytes))
      assert.equal(status.code, 13)
      assert.match(status.details, text)
    }
  })

  test('that continues after its message is reset', async (t) => {
    const { channel, server } = await connected(t, ({ stream }) => {
      stream.respond({ ':status': 200 })
      stream.write(framed('message'))
      stream.write(framed('and more'))
    })
    assert.equal((await channel.call()).status.code, 13)
    assert.equal(await server.calls[0]?.reset, constants.NGHTTP2_CANCEL)
  })

  test('that is a RST_STREAM has the status that gRPC defines', async (t) => {
    const { NGHTTP2_REFUSED_STREAM, NGHTTP2_CANCEL, NGHTTP2_ENHANCE_YOUR_CALM } = constants
    const codes = [
      [NGHTTP2_REFUSED_STREAM, 14, false],
      [NGHTTP2_CANCEL, 1, undefined],
      [NGHTTP2_ENHANCE_YOUR_CALM, 8, undefined],
      [constants.NGHTTP2_INADEQUATE_SECURITY, 7, undefined],
      [constants.NGHTTP2_INTERNAL_ERROR, 13, undefined],
      [constants.NGHTTP2_NO_ERROR, 13, undefined],
    ] as const
    for (const [rstCode, code, sent] of codes) {
      const status = await statusOf(t, ({ stream }) => stream.close(rstCode))
      assert.deepEqual([status.code, status.sent], [code, sent], String(rstCode))
    }
  })
})

describe('An HTTP/2 connection', () => {
  test('accepts no new calls after a GOAWAY, and finishes those in flight', async (t) => {
    const { server, channel } = await connected(t, (call, index) => {
      if (index === 0) call.stream.session?.goaway()
      else echo(call)
    })
    const first = channel.call('first')
    await channel.connected(2)
    assert.deepEqual(channel.kinds, ['connected', 'connecting', 'connected'])
    assert.equal((await channel.call('second')).message, 'second')
    assert.equal(server.accepted, 2)
    server.calls[0]?.reply('late')
    assert.equal((await first).message, 'late')
  })

  test('reports which calls the member has not processed', async (t) => {
    const { server, channel } = await connected(t, (call, index) => {
      const { session, id = 0 } = call.stream
      if (index === 1) session?.goaway(constants.NGHTTP2_NO_ERROR, id - 2)
    })
    const taken = channel.call('taken')
    const refused = channel.call('refused')
    assert.deepEqual((await refused).status, { code: 14, details: 'Stream refused by server', sent: false })
    server.calls[0]?.reply('done')
    assert.equal((await taken).message, 'done')
  })

  test('that the member closes with an error ends its calls, those it has processed with an unknown outcome', async (t) => {
    const { channel } = await connected(t, ({ stream }, index) => {
      if (index === 0) stream.session?.goaway(constants.NGHTTP2_ENHANCE_YOUR_CALM, stream.id ?? 0)
    })
    const calls = [channel.call('taken up'), channel.call('not taken up')]
    const outcomes = await Promise.all(calls)
    assert.deepEqual(
      outcomes.map(({ status }) => [status.code, status.sent]),
      [
        [14, undefined],
        [14, false],
      ],
    )
    await channel.connected(2)
  })

  test('that is lost ends its calls, and those that waited as not sent', async (t) => {
    const server = await GrpcServer.start(() => {}, { settings: { maxConcurrentStreams: 1 } })
    t.after(() => server[Symbol.asyncDispose]())
    const proxy = await FaultProxy.start(`127.0.0.1:${server.port}`)
    t.after(() => proxy.close())
    const channel = new TestChannel(t, `http://${proxy.endpoint}`)
    await channel.connected()
    const [sent, waiting] = [channel.call('sent'), channel.call('waiting')]
    await poll('one is there', () => server.calls[0])
    proxy.cut()
    const [first, second] = [await sent, await waiting]
    assert.deepEqual([first.status.code, first.status.sent], [14, undefined])
    assert.deepEqual([second.status.code, second.status.sent], [14, false])
    await channel.connected(2)
    assert.deepEqual(channel.kinds.slice(0, 2), ['connected', 'connecting'])
    assert.equal((await channel.call('x', 100)).status.code, 4)
  })

  test('is reestablished after growing backoffs, and reports why it fails', async (t) => {
    const { server, channel } = await connected(t, echo)
    const { port } = server
    await server[Symbol.asyncDispose]()
    const reasons = (): (string | undefined)[] =>
      channel.states.flatMap((state) => (state.kind === 'failed' ? [state.reason] : []))
    await poll('it fails', () => reasons().length >= 2 || undefined)
    assert.match(reasons()[0] ?? '', new RegExp(`connect ECONNREFUSED 127.0.0.1:${port}`))
    assert.deepEqual((await channel.call()).status, { code: 14, details: 'not connected', sent: false })
    const again = await GrpcServer.start(echo, { port })
    t.after(() => again[Symbol.asyncDispose]())
    await channel.connected(2)
    assert.equal((await channel.call('hello')).message, 'hello')
  })

  test('is pinged only while calls are open and nothing is received', async (t) => {
    const keepaliveMs = within(60)
    const { server, channel } = await connected(t, (call) => call.message.length > 0 && call.reply('x'), {
      keepaliveMs,
    })
    let pings = 0
    for (const session of server.sessions) session.on('ping', () => (pings += 1))
    await channel.call('answered')
    await new Promise((resolve) => setTimeout(resolve, 3 * keepaliveMs))
    assert.equal(pings, 0)
    const silent = channel.call('', 60_000)
    await poll('it is pinged', () => pings >= 3 || undefined)
    server.calls[1]?.reply('after all')
    assert.equal((await silent).message, 'after all')
    assert.deepEqual(channel.kinds, ['connected'])
  })

  test('that does not acknowledge a ping is closed', async (t) => {
    const server = await GrpcServer.start(() => {})
    t.after(() => server[Symbol.asyncDispose]())
    const proxy = await FaultProxy.start(`127.0.0.1:${server.port}`)
    t.after(() => proxy.close())
    const endpoint = `http://${proxy.endpoint}`
    const channel = new TestChannel(t, endpoint, { keepaliveMs: 50, keepaliveTimeoutMs: 50 })
    await channel.connected()
    proxy.blackhole()
    const { status } = await channel.call()
    assert.equal(status.code, 14)
    assert.match(status.details, /Ping timeout/)
    proxy.heal()
    await channel.connected(2)
  })

  test('is not established to a server that does not speak HTTP/2', async (t) => {
    const server = createServer((socket) => socket.end('SSH-2.0-OpenSSH_9.2\r\n')).listen(0, '127.0.0.1')
    await new Promise((resolve) => server.once('listening', resolve))
    t.after(() => server.close())
    const address = server.address()
    assert.ok(typeof address === 'object' && address !== null)
    const channel = new TestChannel(t, `http://127.0.0.1:${address.port}`)
    await poll('it fails', () => channel.kinds.includes('failed') || undefined)
    assert.ok(!channel.kinds.includes('connected'))
  })

  test('fails everything on it when it is closed', async (t) => {
    const { server, channel } = await connected(t, () => {})
    channel.start()
    await poll('it is there', () => server.calls[0])
    channel.close()
    await poll('it is gone', () => server.sessions.size === 0 || undefined)
    assert.deepEqual(channel.kinds, ['connected'])
  })
})
