import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { earlierDeadline, resolveCallOptions, timeLeft, toEngineOptions } from '../../src/etcd3/call-options.js'
import { castError } from '../../src/etcd3/cast-error.js'
import { ConnectionPool } from '../../src/etcd3/connection-pool.js'
import { toClientOptions } from '../../src/etcd3/engine-options.js'
import {
  AlarmType,
  castGrpcError,
  castGrpcErrorMessage,
  EtcdAuthenticationFailedError,
  EtcdError,
  EtcdLeaseInvalidError,
  EtcdPermissionDeniedError,
  EtcdRoleNotGrantedError,
  EtcdUserExistsError,
  GRPCDeadlineExceededError,
  GRPCGenericError,
  GRPCInvalidArgumentError,
  GRPCNotFoundError,
  GRPCOutOfRangeError,
  GRPCUnavailableError,
  isRecoverableError,
  Range,
} from '../../src/etcd3/index.js'
import { KeyPrefix } from '../../src/etcd3/key-prefix.js'
import { toRequest } from '../../src/etcd3/rpc/request.js'
import { toResponse } from '../../src/etcd3/rpc/response.js'
import { EtcdError as EngineError, type ErrorCode, InvalidArgumentError } from '../../src/index.js'

/** The warnings of the process while `run` runs. */
async function warningsOf(run: () => void): Promise<string[]> {
  const codes: string[] = []
  const onWarning = (warning: Error & { code?: string }): unknown => codes.push(String(warning.code))
  process.on('warning', onWarning)
  run()
  await new Promise((resolve) => setImmediate(resolve))
  process.off('warning', onWarning)
  return codes
}

describe('etcdkit/etcd3: options', () => {
  test('hosts use TLS if one has `https://` or there are credentials', () => {
    const endpoints = (options: Parameters<typeof toClientOptions>[0]): unknown => toClientOptions(options).endpoints
    const credentials = { rootCertificate: Buffer.from('ca') }
    assert.deepEqual(endpoints({ hosts: ['a:1', 'http://b'] }), ['http://a:1', 'http://b'])
    assert.deepEqual(endpoints({ hosts: ['https://a', 'https://b'] }), ['https://a', 'https://b'])
    assert.deepEqual(endpoints({ hosts: 'http://a', credentials }), ['https://a'])
  })

  test('have the meaning that they have in etcd3', () => {
    const [rootCertificate, privateKey, certChain] = ['ca', 'key', 'cert'].map((text) => Buffer.from(text))
    assert.ok(rootCertificate)
    const options = toClientOptions({
      hosts: 'a',
      credentials: { rootCertificate, privateKey, certChain },
      auth: { username: 'u', password: 'p' },
      dialTimeout: 7,
      grpcOptions: {
        'grpc.keepalive_time_ms': 6000,
        'grpc.keepalive_timeout_ms': 8,
        'grpc.max_send_message_length': 9,
        'grpc.ssl_target_name_override': 'etcd',
        'grpc.enable_http_proxy': 1,
      },
    })
    assert.deepEqual(options, {
      endpoints: ['https://a'],
      auth: { username: 'u', password: 'p' },
      tls: { ca: rootCertificate, cert: certChain, key: privateKey, servername: 'etcd' },
      connectTimeoutMs: 7,
      keepaliveMs: 6000,
      keepaliveTimeoutMs: 8,
      maxRequestBytes: 9,
      useProxyEnvironment: true,
    })
    const limits = toClientOptions({
      hosts: 'a',
      grpcOptions: { 'grpc.keepalive_time_ms': 10, 'grpc.max_send_message_length': -1 },
    })
    assert.deepEqual([limits.keepaliveMs, limits.maxRequestBytes], [5000, Number.MAX_SAFE_INTEGER])
  })

  test('without an effect are reported once by a warning', async () => {
    const options = {
      hosts: 'a',
      grpcOptions: { 'grpc.unheard_of': 1 },
      faultHandling: { host: () => ({ execute: <T>(fn: () => Promise<T>) => fn() }), watchBackoff: {} },
    }
    const warnings = ['ETCD3_GRPC_OPTIONS', 'ETCD3_HOST_POLICY', 'ETCD3_WATCH_BACKOFF']
    assert.deepEqual(await warningsOf(() => toClientOptions(options)), warnings)
    assert.deepEqual(await warningsOf(() => toClientOptions(options)), [])
  })

  test('of a call come before those of the client, and bound it by a deadline and a signal', () => {
    const context = { service: 'KV', method: 'range', isStream: false, params: {} } as const
    assert.deepEqual(resolveCallOptions({ deadline: 1 }, { deadline: 2 }, context), { deadline: 1 })
    assert.deepEqual(
      resolveCallOptions(undefined, () => ({ deadline: 2 }), context),
      { deadline: 2 },
    )
    const { signal } = new AbortController()
    assert.deepEqual(toEngineOptions({ signal }), { signal, timeoutMs: undefined })
    const left = timeLeft(new Date(Date.now() + 10_000))
    assert.ok(left > 9000 && left <= 10_000, `${left}`)
    assert.equal(timeLeft(Date.now() - 1000), 0)
    assert.throws(() => timeLeft(new Date('never')), /`deadline` must be a date/)
  })

  test('of a login end a call that waits for it, unless its own deadline is earlier', () => {
    const { signal } = new AbortController()
    assert.deepEqual(earlierDeadline({ deadline: 5, signal }, { deadline: new Date(3) }), { deadline: 3, signal })
    assert.deepEqual(earlierDeadline({ deadline: 5 }, { deadline: 7 }), { deadline: 5 })
    assert.deepEqual(earlierDeadline(undefined, { deadline: 7 }), { deadline: 7 })
    assert.deepEqual(earlierDeadline({ deadline: 5 }, {}), { deadline: 5 })
  })
})

describe('etcdkit/etcd3: a client', () => {
  test('keeps the process open while a watch or a lease lives, and no longer than until it is closed', async () => {
    const pool = new ConnectionPool({ hosts: '127.0.0.1:1' })
    const timers = (): number => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length
    const before = timers()
    const letGo = [pool.hold(), pool.hold()]
    const counts = [timers()]
    for (const each of letGo) {
      each()
      counts.push(timers())
    }
    assert.deepEqual(counts, [before + 1, before + 1, before])
    pool.hold()
    const closed = pool.close()
    assert.equal(timers(), before)
    await closed
  })

  test('bounds its calls by the deadline of the login until it has logged in', async () => {
    const auth = { username: 'u', password: 'p', callOptions: { deadline: Date.now() + 5000 } }
    const pool = new ConnectionPool({ hosts: '127.0.0.1:1', auth })
    const context = { service: 'KV', method: 'range', isStream: false, params: {} } as const
    const { timeoutMs = 0 } = pool.boundsOf(context, { deadline: Date.now() + 60_000 })
    assert.ok(timeoutMs > 0 && timeoutMs <= 5000, `${timeoutMs}`)
    await pool.close()
  })
})

describe('etcdkit/etcd3: messages', () => {
  test('of requests have IDs in hexadecimal, exact integers, and enums by name or number', () => {
    const request = toRequest('KV.Range', { sort_target: 3, sort_order: 'Descend', limit: ' 5 ', lease: '-1' })
    assert.deepEqual(request, { sortTarget: 'MOD', sortOrder: 'DESCEND', limit: 5, lease: 'ffffffffffffffff' })
    assert.deepEqual(toRequest('KV.Txn', { compare: [{ result: 'NotEqual', target: 4 }] }), {
      compare: [{ result: 'NOT_EQUAL', target: 'LEASE' }],
    })
    assert.deepEqual(toRequest('Auth.RoleGrantPermission', { perm: { permType: 2 } }), {
      perm: { permType: 'READWRITE' },
    })
    assert.deepEqual(toRequest('Maintenance.Alarm', { action: 2, memberID: '18446744073709551615', alarm: 1 }), {
      action: 'DEACTIVATE',
      memberID: 'ffffffffffffffff',
      alarm: 'NOSPACE',
    })
    assert.throws(() => toRequest('KV.Range', { revision: '9007199254740993' }), /must be at most 2\^53 - 1/)
  })

  test('of requests are refused where a field is not of its type: it would be left out of the message', () => {
    for (const [method, request, message] of [
      ['KV.Put', { value: 5 }, /`value` must be text or bytes, got 5/],
      ['KV.Put', { value: { a: 1 } }, /`value` must be text or bytes, got an object/],
      ['KV.Put', { key: Promise.resolve('a') }, /`key` must be text or bytes, got a promise/],
      ['KV.Range', { serializable: 'false' }, /`serializable` must be true or false/],
      ['KV.Range', { limit: '' }, /`limit` must be an integer/],
      ['KV.Txn', { success: [{ request_put: 5 }] }, /must be an object, got 5/],
      ['Auth.UserAdd', { name: 'u', password: 1234 }, /`password` must be text or bytes, got 1234/],
      ['Downgrade', { action: 'Validate', version: 3.5 }, /`version` must be text or bytes/],
    ] as const) {
      assert.throws(() => toRequest(method, request), message)
    }
    const nested: { success?: object[] } = {}
    nested.success = [nested]
    assert.throws(() => toRequest('KV.Txn', nested), InvalidArgumentError)
  })

  test('of responses have the names of the wire, decimal IDs, and enums by their names in etcd3', () => {
    assert.deepEqual(toResponse('Lease', { ID: 'ffffffffffffffff', TTL: 5 }), { ID: '-1', TTL: '5' })
    assert.deepEqual(toResponse('Maintenance', { leader: 'ffffffffffffffff', remainingBytes: 5 }), {
      leader: '18446744073709551615',
      remaining_bytes: '5',
    })
    assert.deepEqual(toResponse('Maintenance', { alarms: [{ memberID: 'a', alarm: 'NOSPACE' }] }), {
      alarms: [{ memberID: '10', alarm: 'Nospace' }],
    })
    assert.equal(AlarmType.Nospace, 1)
    assert.deepEqual(toResponse('Maintenance', { hashRevision: 7, prevKvs: [], compactRevision: 1 }), {
      hash_revision: '7',
      prev_kvs: [],
      compact_revision: '1',
    })
  })

  test('in a namespace cover its keys alone', () => {
    const prefix = new KeyPrefix(Buffer.from('ns/'))
    const of = (key: string, end?: string): unknown =>
      prefix.addTo({ key: Buffer.from(key), range_end: end === undefined ? undefined : Buffer.from(end) })
    assert.deepEqual(of('a', ''), { key: Buffer.from('ns/a'), range_end: Buffer.alloc(0) })
    assert.deepEqual(of('a', 'b'), { key: Buffer.from('ns/a'), range_end: Buffer.from('ns/b') })
    assert.deepEqual(of('a', '\0'), { key: Buffer.from('ns/a'), range_end: Buffer.from('ns0') })
  })
})

describe('etcdkit/etcd3: ranges', () => {
  test('include what lies in them', () => {
    const open = new Range('b', Buffer.from([0]))
    assert.deepEqual([open.includes('a'), open.includes('b'), open.includes('z')], [false, true, true])
    assert.deepEqual([new Range('b').includes('b'), new Range('b').includes('c')], [true, false])
    assert.deepEqual(Range.from({ prefix: 'a' }), new Range('a', 'b'))
    assert.deepEqual(Range.from({ start: 'a', end: 'c' }), new Range('a', 'c'))
  })

  test('are before or after others, or overlap them', () => {
    const compare = (...[a, b, c, d]: string[]): number => new Range(a ?? '', b).compare(new Range(c ?? '', d))
    assert.deepEqual(
      [
        compare('a', 'b', 'b', 'c'),
        compare('b', 'c', 'a', 'b'),
        compare('a', 'c', 'b', 'd'),
        compare('a', 'd', 'b', 'c'),
      ],
      [-1, 1, 0, 0],
    )
  })
})

describe('etcdkit/etcd3: errors', () => {
  function cast(code: ErrorCode, effect: 'none' | 'unknown' = 'none', grpcCode?: number): Error {
    return castError(new EngineError('text', { code, effect, grpcCode }), { service: 'KV', leaseId: '7' })
  }

  test('have the class of etcd3 for their code, or else for their status', () => {
    for (const [code, Class] of [
      ['USER_ALREADY_EXISTS', EtcdUserExistsError],
      ['AUTH_FAILED', EtcdAuthenticationFailedError],
      ['ROLE_NOT_GRANTED', EtcdRoleNotGrantedError],
      ['PERMISSION_DENIED', EtcdPermissionDeniedError],
      ['DEADLINE_EXCEEDED', GRPCDeadlineExceededError],
      ['INVALID_ARGUMENT', GRPCInvalidArgumentError],
      ['COMPACTED', GRPCOutOfRangeError],
      ['LEASE_NOT_FOUND', EtcdLeaseInvalidError],
      ['UNKNOWN', EtcdError],
    ] as const) {
      assert.equal(cast(code).constructor, Class, code)
    }
    assert.equal(cast('UNKNOWN', 'none', 5).constructor, GRPCNotFoundError)
    assert.equal(cast('UNKNOWN', 'none', 5).message, '5 NOT_FOUND: text')
  })

  test('are recoverable only if nothing was changed', () => {
    assert.equal(isRecoverableError(cast('CONNECTION_LOST', 'none')), true)
    assert.equal(isRecoverableError(cast('CONNECTION_LOST', 'unknown')), false)
  })

  test('of grpc-js are cast by their text, or else by their status', () => {
    const grpcError = (message: string, code?: number): Error => Object.assign(new Error(message), { code })
    const cause = grpcError('14 UNAVAILABLE: gone', 14)
    assert.ok(castGrpcError(cause) instanceof GRPCUnavailableError)
    assert.equal(castGrpcError(cause).cause, cause)
    assert.ok(
      castGrpcError(grpcError('5 NOT_FOUND: etcdserver: requested lease not found', 5)) instanceof
        EtcdLeaseInvalidError,
    )
    assert.equal(castGrpcError(grpcError('etcdserver: something new')).constructor, EtcdError)
    assert.equal(castGrpcError(grpcError('something else')).constructor, GRPCGenericError)
    const own = new RangeError('of another kind')
    assert.equal(castGrpcError(own), own)
    assert.ok(castGrpcErrorMessage('etcdserver: permission denied') instanceof EtcdPermissionDeniedError)
    assert.equal(castGrpcErrorMessage('no text of etcd').constructor, EtcdError)
  })
})
