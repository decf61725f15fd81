import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer as createHttp2Server, type Http2Server, type ServerHttp2Stream } from 'node:http2'
import { createServer, type Server } from 'node:net'
import { describe, type TestContext, test } from 'node:test'
import { createServer as createTlsServer } from 'node:tls'
import { promisify } from 'node:util'
import { type ChannelCredentials, Client, credentials, type ServiceError } from '@grpc/grpc-js'
import type { Effect, ErrorCode, EtcdError } from '../../src/core/errors.js'
import { CertificateAuthority } from '../../src/testing/certificates.js'
import { isProxyAnswer, isTransportCode, type StatusContext, toEtcdError } from '../../src/transport/grpc-status.js'

const context: StatusContext = {
  method: 'KV.Put',
  endpoint: 'http://127.0.0.1:2379',
  sent: true,
  deadlineAt: 5000,
  now: 1000,
}

type Row = readonly [grpcCode: number, details: string, code: ErrorCode, effect: Effect, retryable: boolean]

/** The context of a call that was sent and whose deadline is far away. */
const rows: readonly Row[] = [
  [
    4,
    'Deadline exceeded after 4.001s,LB pick: 0.001s,remote_addr=127.0.0.1:2379',
    'DEADLINE_EXCEEDED',
    'unknown',
    false,
  ],
  [4, 'context deadline exceeded', 'DEADLINE_EXCEEDED', 'unknown', false],
  [2, 'context deadline exceeded', 'DEADLINE_EXCEEDED', 'unknown', false],
  [4, 'Deadline exceeded after 0.5s,Waiting for LB pick', 'DEADLINE_EXCEEDED', 'none', false],
  [4, 'Deadline exceeded after 0.5s,waiting for name resolution', 'DEADLINE_EXCEEDED', 'none', false],
  [1, 'Call cancelled', 'CONNECTION_LOST', 'unknown', true],
  [1, 'context canceled', 'CONNECTION_LOST', 'unknown', true],
  [2, 'context canceled', 'CONNECTION_LOST', 'unknown', true],
  [14, 'No connection established', 'NOT_CONNECTED', 'none', true],
  [14, 'Name resolution failed for target dns:nowhere.invalid:2379', 'NOT_CONNECTED', 'none', true],
  [14, 'Channel closed before call started', 'NOT_CONNECTED', 'none', true],
  [14, 'Stream refused by server', 'NOT_CONNECTED', 'none', true],
  [14, 'Connection dropped', 'CONNECTION_LOST', 'unknown', true],
  [14, 'read ECONNRESET', 'CONNECTION_LOST', 'unknown', true],
  [14, 'Received HTTP status code 502', 'CONNECTION_LOST', 'unknown', true],
  [14, 'etcdserver: a text of a later release', 'CONNECTION_LOST', 'unknown', true],
  [8, 'grpc: received message larger than max (2202017 vs. 2097152)', 'MESSAGE_TOO_LARGE', 'none', false],
  [8, 'Received message larger than max (6291628 vs 4194304)', 'MESSAGE_TOO_LARGE', 'unknown', false],
  [8, 'Received message that decompresses to a size larger than 4194304', 'MESSAGE_TOO_LARGE', 'unknown', false],
  [8, 'grpc: trying to send message larger than max (9 vs. 8)', 'MESSAGE_TOO_LARGE', 'unknown', false],
  [8, 'Attempted to send message with a size larger than 4194304', 'MESSAGE_TOO_LARGE', 'none', false],
  [8, 'Bandwidth exhausted or memory limit exceeded', 'CONNECTION_LOST', 'unknown', true],
  [12, 'unknown method RangeStream for service etcdserverpb.KV', 'UNIMPLEMENTED', 'none', false],
  [12, 'RangeStream is not supported by the gRPC proxy', 'UNIMPLEMENTED', 'none', false],
  [13, 'Received RST_STREAM with code 2 (Internal server error)', 'CONNECTION_LOST', 'unknown', true],
  [13, 'Received RST_STREAM with code 0 (Call ended without gRPC status)', 'CONNECTION_LOST', 'unknown', true],
  [13, 'Failed to start HTTP/2 stream with error The session has been destroyed', 'NOT_CONNECTED', 'none', true],
  [13, 'Response message parsing error: it is not protobuf', 'UNKNOWN', 'unknown', false],
  [2, 'some text nobody has seen', 'UNKNOWN', 'unknown', false],
  [5, 'unknown service nothing', 'UNKNOWN', 'unknown', false],
  [7, 'Protocol not secure enough', 'UNKNOWN', 'unknown', false],
]

function summary({ code, effect, retryable, grpcCode }: EtcdError) {
  return { code, effect, retryable, grpcCode }
}

describe('A status without a message of etcd', () => {
  test('is classified by what is known about the call, then by its code', () => {
    for (const [grpcCode, details, code, effect, retryable] of rows) {
      const error = toEtcdError({ code: grpcCode, details }, context)
      assert.deepEqual(summary(error), { code, effect, retryable, grpcCode }, details)
    }
  })

  test('keeps its message, endpoint, method and gRPC code', () => {
    const { message, rawMessage, method, endpoint } = toEtcdError({ code: 14, details: 'Connection dropped' }, context)
    assert.equal(rawMessage, 'Connection dropped')
    assert.equal(message, '[CONNECTION_LOST] Connection dropped (KV.Put at http://127.0.0.1:2379)')
    assert.deepEqual([method, endpoint], ['KV.Put', 'http://127.0.0.1:2379'])
  })

  test('has the effect `none` if the call was not sent, and is NOT_CONNECTED instead of CONNECTION_LOST', () => {
    for (const [grpcCode, details, code] of rows) {
      const error = toEtcdError({ code: grpcCode, details }, { ...context, sent: false })
      assert.equal(error.effect, 'none', details)
      assert.equal(error.code, code === 'CONNECTION_LOST' ? 'NOT_CONNECTED' : code, details)
    }
  })

  test('shows nothing about the member, in contrast to an answer of etcd', () => {
    for (const [code, details] of rows) {
      const error = toEtcdError({ code, details }, context)
      assert.equal(isTransportCode(error.code), true, details)
    }
    for (const code of ['LEADER_LOST', 'PROTOCOL_ERROR'] as const) assert.equal(isTransportCode(code), true)
    for (const code of ['NO_LEADER', 'PERMISSION_DENIED', 'SERVER_TIMEOUT'] as const) {
      assert.equal(isTransportCode(code), false)
    }
  })

  test('is the answer of a proxy if it is one of HTTP, or has a text of Envoy', () => {
    const isOfProxy = (code: number, details: string): boolean => isProxyAnswer(toEtcdError({ code, details }, context))
    assert.ok(isOfProxy(14, 'Received HTTP status code 503 and no gRPC status'))
    assert.ok(isOfProxy(14, 'no healthy upstream'))
    assert.ok(isOfProxy(14, 'upstream connect error or disconnect/reset before headers'))
    assert.ok(!isOfProxy(14, 'Connection dropped'))
    assert.ok(!isOfProxy(14, 'etcdserver: no leader'))
    assert.ok(!isProxyAnswer(new Error('no healthy upstream')))
  })

  test('is DEADLINE_EXCEEDED for a cancellation at the deadline', () => {
    for (const [code, details] of [[1, 'Call cancelled'] as const, [2, 'context canceled'] as const]) {
      for (const now of [4990, 5000, 9000]) {
        const error = toEtcdError({ code, details }, { ...context, now })
        assert.deepEqual([error.code, error.effect], ['DEADLINE_EXCEEDED', 'unknown'])
      }
      const early = toEtcdError({ code, details }, { ...context, now: 4900 })
      assert.equal(early.code, 'CONNECTION_LOST')
      const endless = toEtcdError({ code, details }, { ...context, deadlineAt: Number.POSITIVE_INFINITY, now: 9e9 })
      assert.equal(endless.code, 'CONNECTION_LOST')
    }
  })

  test('that a proxy relays as Unknown is classified by the code in its message', () => {
    const relayed = (text: string) => summary(toEtcdError({ code: 2, details: `rpc error: ${text}` }, context))
    assert.deepEqual(relayed('code = Unavailable desc = transport is closing'), {
      code: 'CONNECTION_LOST',
      effect: 'unknown',
      retryable: true,
      grpcCode: 2,
    })
    assert.equal(relayed('code = DeadlineExceeded desc = context deadline exceeded').code, 'DEADLINE_EXCEEDED')
    assert.equal(relayed('code = Unimplemented desc = unknown method X').code, 'UNIMPLEMENTED')
    assert.equal(relayed('code = FailedPrecondition desc = no').code, 'UNKNOWN')
    assert.equal(relayed('code = Unavailable desc = rpc error: code = Aborted desc = no').code, 'UNKNOWN')
    assert.equal(relayed('code = toString desc = no').code, 'UNKNOWN')
  })

  test('keeps its code if that is not Unknown', () => {
    const details = 'rpc error: code = Unavailable desc = no'
    assert.equal(toEtcdError({ code: 9, details }, context).code, 'UNKNOWN')
  })

  test('contains the reason why connecting failed, without the wrapping of grpc-js', () => {
    const reason = (details: string) => toEtcdError({ code: 14, details }, context).rawMessage
    const frame = (error: string, note = '') =>
      `No connection established. Last error: Error: ${error}. Resolution note: ${note}`
    assert.equal(reason(frame('connect ECONNREFUSED 127.0.0.1:1')), 'connect ECONNREFUSED 127.0.0.1:1')
    assert.equal(reason(frame('certificate has expired', 'stale DNS')), 'certificate has expired; stale DNS')
    assert.equal(reason(frame('error:0A00010B:SSL routines\n')), 'error:0A00010B:SSL routines')
    assert.equal(reason('No connection established'), 'No connection established')
  })
})

/** Listens on a free loopback port until the test ends. */
async function listen(t: TestContext, server: Server | Http2Server): Promise<string> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  const address = server.address()
  assert.ok(address !== null && typeof address === 'object')
  return `ipv4:127.0.0.1:${address.port}`
}

interface FailingCall {
  readonly timeoutMs?: number
  readonly credentials?: ChannelCredentials
  /** Whether the call starts only after the connection is established. */
  readonly connected?: boolean
}

/** The status of a failed call of plain grpc-js to `target`. */
async function failure(target: string, call: FailingCall = {}): Promise<EtcdError> {
  const client = new Client(target, call.credentials ?? credentials.createInsecure(), {
    'grpc.enable_retries': 0,
    // Otherwise grpc-js uses the address for SNI, which Node 26 rejects.
    'grpc.ssl_target_name_override': 'member.test',
  })
  try {
    if (call.connected === true) await promisify(client.waitForReady.bind(client))(Date.now() + 10_000)
    return toEtcdError(await failedPut(client, call.timeoutMs ?? 10_000), context)
  } finally {
    client.close()
  }
}

function failedPut(client: Client, timeoutMs: number): Promise<ServiceError> {
  const bytes = (value: Buffer) => value
  return new Promise((resolve, reject) => {
    const deadline = Date.now() + timeoutMs
    client.makeUnaryRequest('/etcdserverpb.KV/Put', bytes, bytes, Buffer.alloc(1), { deadline }, (error) => {
      if (error === null) reject(new Error('the call did not fail'))
      else resolve(error)
    })
  })
}

/** A server that ends every call by `end`. */
function endingEach(end: (stream: ServerHttp2Stream) => void): Http2Server {
  return createHttp2Server().on('stream', (stream) => {
    stream.on('error', () => {})
    end(stream)
  })
}

describe('The messages of the installed grpc-js', () => {
  test('identify a refused connection', async (t) => {
    const server = createServer()
    const target = await listen(t, server)
    server.close()
    const error = await failure(target)
    assert.deepEqual([error.code, error.effect], ['NOT_CONNECTED', 'none'])
    assert.match(error.rawMessage, /^connect ECONNREFUSED 127\.0\.0\.1:\d+$/)
  })

  test('identify a missing Unix socket', async () => {
    const error = await failure('unix:/nowhere/etcd.sock')
    assert.deepEqual([error.code, error.effect], ['NOT_CONNECTED', 'none'])
    assert.equal(error.rawMessage, 'connect ENOENT /nowhere/etcd.sock')
  })

  test('identify an unknown certificate authority', async (t) => {
    const { cert, key } = new CertificateAuthority().issue({ hosts: ['member.test'] })
    const server = createTlsServer({ cert, key, ALPNProtocols: ['h2'] })
    server.on('tlsClientError', () => {})
    const ca = Buffer.from(new CertificateAuthority().cert)
    const error = await failure(await listen(t, server), { credentials: credentials.createSsl(ca) })
    assert.deepEqual([error.code, error.effect], ['NOT_CONNECTED', 'none'])
    assert.match(error.rawMessage, /unable to verify|self-signed certificate|unable to get local issuer/)
  })

  test('identify a deadline that passed without a connection', async (t) => {
    const silent = createServer((socket) => t.after(() => socket.destroy()))
    const error = await failure(await listen(t, silent), { timeoutMs: 50 })
    assert.deepEqual([error.code, error.effect], ['DEADLINE_EXCEEDED', 'none'])
  })

  test('identify a deadline that passed without a response', async (t) => {
    const server = endingEach(() => {})
    const error = await failure(await listen(t, server), { timeoutMs: 50, connected: true })
    assert.deepEqual([error.code, error.effect], ['DEADLINE_EXCEEDED', 'unknown'])
  })

  test('contain the code of a reset stream', async (t) => {
    const ends: readonly (readonly [rstCode: number, code: ErrorCode, effect: Effect])[] = [
      [0, 'CONNECTION_LOST', 'unknown'],
      [1, 'CONNECTION_LOST', 'unknown'],
      [2, 'CONNECTION_LOST', 'unknown'],
      [7, 'NOT_CONNECTED', 'none'],
      [8, 'CONNECTION_LOST', 'unknown'],
      [11, 'CONNECTION_LOST', 'unknown'],
      [12, 'UNKNOWN', 'unknown'],
    ]
    for (const [rstCode, code, effect] of ends) {
      const error = await failure(
        await listen(
          t,
          endingEach((stream) => stream.close(rstCode)),
        ),
      )
      assert.deepEqual([error.code, error.effect], [code, effect], `RST_STREAM ${rstCode}: ${error.rawMessage}`)
    }
  })

  test('identify a lost connection', async (t) => {
    const error = await failure(
      await listen(
        t,
        endingEach((stream) => stream.session?.destroy()),
      ),
    )
    assert.deepEqual([error.code, error.effect], ['CONNECTION_LOST', 'unknown'])
  })
})
