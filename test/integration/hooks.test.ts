import assert from 'node:assert/strict'
import { Console } from 'node:console'
import { Writable } from 'node:stream'
import { describe, type TestContext, test } from 'node:test'
import pino from 'pino'
import {
  type ClientOptions,
  channels,
  Etcd,
  EtcdError,
  type Logger,
  put,
  type UnaryCall,
  type UnaryInterceptor,
  type UnaryResponse,
} from '../../src/index.js'
import { addUser, rootPassword } from '../support/auth.js'
import { useCluster } from '../support/cluster.js'
import { createClient, uniquePrefix } from '../support/fixtures.js'
import { ScriptedMember } from '../support/scripted-member.js'

function createFor(t: TestContext, member: ScriptedMember, options: ClientOptions): Etcd {
  return createClient(t, { endpoints: [member.endpoint] }, options)
}

/** Refuses reads with an error that is retried. */
const noLeader = 'etcdserver: no leader'

describe('Interceptors of the user', () => {
  const cluster = useCluster()

  test('see the call and its response, the first one outermost, for every kind of call', async (t) => {
    const seen: string[] = []
    const calls: UnaryCall[] = []
    const responses: UnaryResponse[] = []
    const outer: UnaryInterceptor = async (call, next) => {
      seen.push(`> ${call.method}`)
      calls.push(call)
      const response = await next(call)
      responses.push(response)
      seen.push(`< ${call.method}`)
      return response
    }
    const inner: UnaryInterceptor = (call, next) => {
      seen.push(`inner ${call.method}`)
      return next(call)
    }
    const etcd = createClient(t, cluster, { interceptors: [outer, inner] })
    const key = `${uniquePrefix()}k`
    await etcd.put(key, 'v', { timeoutMs: 4000 })
    assert.equal((await etcd.get(key))?.valueText, 'v')
    await Promise.all([etcd.get(key), etcd.get(`${key}2`)])
    await etcd.txn().then(put(key, '2')).commit()
    const lease = await etcd.lease.grant(30)
    await lease.revoke()
    await etcd.maintenance.status({ endpoint: cluster.endpoints[0] ?? '' })
    assert.deepEqual(
      calls.map(({ method }) => method),
      ['KV.Put', 'KV.Range', 'KV.Txn', 'KV.Txn', 'Lease.LeaseGrant', 'Lease.LeaseRevoke', 'Maintenance.Status'],
    )
    assert.deepEqual(seen.slice(0, 3), ['> KV.Put', 'inner KV.Put', '< KV.Put'])
    const [first = assert.fail()] = calls
    const { key: sentKey, value } = first.request as { key: Buffer; value: Buffer }
    assert.deepEqual([sentKey.toString(), value.toString(), first.metadata], [key, 'v', {}])
    assert.ok(first.timeoutMs > 2000 && first.timeoutMs <= 4000)
    assert.deepEqual([calls.at(-1)?.endpoint, calls[0]?.endpoint], [cluster.endpoints[0], undefined])
    const [written = assert.fail(), read = assert.fail()] = responses
    assert.deepEqual([written.endpoint, written.attempts], [cluster.endpoints[0], 1])
    assert.equal((read.message as { kvs: { value: Buffer }[] }).kvs[0]?.value.toString(), 'v')
  })

  test('may fail a call, make it again, or make none', async (t) => {
    let failures = 0
    const flaky: UnaryInterceptor = (call, next) => {
      if (call.method !== 'KV.Put' || failures === 0) return next(call)
      failures -= 1
      throw new EtcdError('injected', { code: 'NO_SPACE', effect: 'none' })
    }
    const again: UnaryInterceptor = (call, next) => next(call).catch(() => next(call))
    const etcd = createClient(t, cluster, { interceptors: [again, flaky] })
    const key = `${uniquePrefix()}k`
    failures = 1
    await etcd.put(key, 'v')
    failures = 2
    await assert.rejects(etcd.put(key, 'w'), { code: 'NO_SPACE', effect: 'none', method: 'KV.Put' })
    assert.equal((await etcd.get(key))?.valueText, 'v')
    const wrong = createClient(t, cluster, { interceptors: [(async () => undefined) as never] })
    await assert.rejects(wrong.get(key), /an interceptor must return the response of next\(\), got undefined/)
  })

  test('add metadata to calls of any transport, also to retries and batches, and set another timeout', async (t) => {
    const headers: (string | undefined)[] = []
    await using member = await ScriptedMember.start((call) => {
      headers.push(call.headers['x-request-id']?.toString())
      return headers.length === 1 ? noLeader : undefined
    })
    let count = 0
    const tracing: UnaryInterceptor = (call, next) => {
      count += 1
      return next({ ...call, metadata: { ...call.metadata, 'x-request-id': `request-${count}` } })
    }
    for (const transport of ['http2', 'grpc-js'] as const) {
      const etcd = createFor(t, member, { interceptors: [tracing], transport })
      await etcd.get('a')
      await etcd.put('a', 'b')
    }
    assert.deepEqual(headers, ['request-1', 'request-1', 'request-2', 'request-3', 'request-4'])
    const late = createFor(t, member, { interceptors: [(call, next) => next({ ...call, timeoutMs: 0 })] })
    await assert.rejects(late.get('a'), { code: 'DEADLINE_EXCEEDED' })
    const reason = new Error('enough')
    const aborted = createFor(t, member, {
      interceptors: [(call, next) => next({ ...call, signal: AbortSignal.abort(reason) })],
    })
    await assert.rejects(aborted.get('a'), reason)
  })

  test('cannot replace the headers of the client, and errors show no values', async (t) => {
    for (const [metadata, message] of [
      [{ token: 'secret' }, /must be lower-case headers of your own, not ending in -bin, got "token"/],
      [{ 'X-Id': 'a' }, /got "X-Id"/],
      [{ 'trace-bin': 'a' }, /got "trace-bin"/],
      [{ 'grpc-timeout': '1S' }, /got "grpc-timeout"/],
      [{ 'x-id': 'secret\n' }, /`metadata\.x-id` must be a string of printable ASCII characters$/],
      ['secret', /`metadata` must be an object/],
    ] as const) {
      const etcd = createClient(t, cluster, { interceptors: [(call, next) => next({ ...call, metadata } as never)] })
      await assert.rejects(etcd.get('a'), message)
    }
    assert.throws(() => new Etcd({ endpoints: 'a', interceptors: 'x' as never }), /`interceptors` must be an array/)
    assert.throws(
      () => new Etcd({ endpoints: 'a', interceptors: [1 as never] }),
      /`interceptors\[0\]` must be a function/,
    )
  })
})

describe('Retry options', () => {
  /** Makes a read that is refused every time, and returns its error and the times of its attempts. */
  async function refused(
    t: TestContext,
    retry: ClientOptions['retry'],
    text = noLeader,
  ): Promise<[EtcdError, number[]]> {
    await using member = await ScriptedMember.start(() => text)
    const etcd = createFor(t, member, { retry, batching: { reads: false } })
    const error = await etcd.get('a', { timeoutMs: 1500 }).catch((failure: EtcdError) => failure)
    await etcd.close()
    assert.ok(error instanceof EtcdError)
    return [error, member.arrivals]
  }

  test('limit the attempts', async (t) => {
    for (const maxAttempts of [1, 3]) {
      const [error, arrivals] = await refused(t, { maxAttempts })
      assert.deepEqual([error.code, error.attempts, arrivals.length], ['NO_LEADER', maxAttempts, maxAttempts])
    }
    const [, unlimited] = await refused(t, undefined)
    assert.ok(unlimited.length > 3)
  })

  test('limit the codes', async (t) => {
    assert.equal((await refused(t, { codes: ['CONNECTION_LOST'] }))[1].length, 1)
    assert.equal((await refused(t, { codes: ['NO_LEADER'], maxAttempts: 2 }))[1].length, 2)
  })

  test('set the delays', async (t) => {
    const text = 'etcdserver: server stopped'
    const [, quick] = await refused(t, { maxDelayMs: 1, baseDelayMs: 1, maxAttempts: 6 }, text)
    const [, slow] = await refused(t, { baseDelayMs: 400, maxAttempts: 6 }, text)
    const spanOf = (times: readonly number[]): number => (times.at(-1) ?? 0) - (times[0] ?? 0)
    assert.equal(quick.length, 6)
    assert.ok(spanOf(slow) > spanOf(quick), `${spanOf(slow)} and ${spanOf(quick)} ms`)
  })

  test('are checked', () => {
    const wrong = (retry: unknown, message: RegExp): void => {
      assert.throws(() => new Etcd({ endpoints: 'a', retry: retry as never }), {
        name: 'InvalidArgumentError',
        message,
      })
    }
    wrong({ attempts: 3 }, /unknown option `attempts` of retry/)
    wrong({ maxAttempts: 0 }, /`retry\.maxAttempts` must be a whole number of at least 1, got 0/)
    wrong({ baseDelayMs: -1 }, /`retry\.baseDelayMs` must be milliseconds/)
    wrong(
      { baseDelayMs: 100, maxDelayMs: 10 },
      /`retry\.maxDelayMs` must be at least `retry\.baseDelayMs`, 100, got 10/,
    )
    wrong({ codes: ['NO_LEADR'] }, /"NO_LEADR", which is never retried: did you mean 'NO_LEADER'\?/)
    wrong({ codes: ['KEY_NOT_FOUND'] }, /which is never retried: codes that can be retried are NOT_CONNECTED/)
    wrong({ codes: 'NO_LEADER' }, /`retry\.codes` must be an array of codes/)
  })
})

describe('The log of a client', () => {
  const cluster = useCluster({ auth: { rootPassword } })

  function recorder(): { readonly logger: Logger; readonly lines: string[] } {
    const lines: string[] = []
    const at =
      (level: string) =>
      (fields: object, message: string): void => {
        lines.push(`${level} ${message} ${JSON.stringify(fields)}`)
      }
    return { logger: { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') }, lines }
  }

  async function use(options: ClientOptions): Promise<void> {
    const etcd = new Etcd({
      endpoints: cluster.endpoints,
      auth: { username: 'root', password: rootPassword },
      ...options,
    })
    await etcd.put('log/key', 'hush-hush value')
    const informer = etcd.informer({ prefix: 'log/' })
    await informer.ready()
    await etcd.withLock('log/lock', async () => {})
    await etcd.close()
  }

  test('has what changes at info, each operation at debug, and never a secret', async (t) => {
    const { logger, lines } = recorder()
    await use({ logger, diagnostics: { name: 'orders' } })
    assert.ok(
      lines.some((line) =>
        /^info orders: connection to http:\S+: ready after .*"channel":"etcdkit:connect"/.test(line),
      ),
    )
    assert.ok(lines.some((line) => /^info orders: informer of prefix "log\/" has \d+ keys/.test(line)))
    assert.ok(lines.every((line) => !line.startsWith('debug')))
    const detailed = recorder()
    await use({ logger: detailed.logger, logLevel: 'debug' })
    assert.ok(detailed.lines.some((line) => /^debug etcd: lock "log\/lock" granted/.test(line)))
    const failing = recorder()
    const client = createClient(t, cluster, {
      auth: { username: 'root', password: 'wrong hush-hush' },
      logger: failing.logger,
    })
    await assert.rejects(client.get('a'))
    assert.ok(
      failing.lines.some((line) => line.startsWith('warn etcd: token for root')),
      failing.lines.join('\n'),
    )
    const all = [...lines, ...detailed.lines, ...failing.lines].join('\n')
    assert.ok(!all.includes('hush-hush') && !all.includes(rootPassword), all)
  })

  test('reports a lost connection, and only for its own client, until that closes', async (t) => {
    const { logger, lines } = recorder()
    await using member = await ScriptedMember.start(() => undefined)
    const other = createFor(t, member, { diagnostics: { name: 'other' } })
    const etcd = createFor(t, member, { logger, diagnostics: { name: 'mine', slowCallMs: Number.POSITIVE_INFINITY } })
    await Promise.all([etcd.put('a', 'b'), other.put('a', 'b')])
    assert.equal(channels.slow.hasSubscribers, false)
    await etcd.close()
    assert.ok(lines.length > 0 && lines.every((line) => line.includes(' mine: ')), lines.join('\n'))
    const { length } = lines
    await other.put('a', 'c')
    await other.close()
    assert.equal(lines.length, length)
    assert.equal(channels.connect.hasSubscribers, false)
  })

  test('goes to pino with fields and the error, and to a console as text', async () => {
    const chunks: string[] = []
    const stream = new Writable({
      write: (chunk, _, done) => {
        chunks.push(String(chunk))
        done()
      },
    })
    await use({ logger: pino({ level: 'debug' }, stream), logLevel: 'debug' })
    const entries = chunks.map((line) => JSON.parse(line))
    const ready = entries.find(({ msg, state }) => state === 'ready' && /connection to/.test(msg))
    assert.deepEqual([ready?.level, ready?.channel, ready?.endpoint], [30, 'etcdkit:connect', cluster.endpoints[0]])
    chunks.length = 0
    await use({ logger: new Console(stream) })
    assert.ok(
      chunks.some((line) => /^etcd: connection to http:\S+: ready after [\d.]+ ms connecting|probing\n$/.test(line)),
    )
    assert.ok(!chunks.join('').includes('{'))
  })

  test('of a logger that throws does not end the process, and options are checked', async (t) => {
    const warned = new Promise<Error>((resolve) => process.once('warning', resolve))
    const fail = (): never => {
      throw new Error('the disk is full')
    }
    await use({ logger: { debug: fail, info: fail, warn: fail, error: fail } })
    t.diagnostic((await warned).message)
    assert.throws(
      () => new Etcd({ endpoints: 'a', logger: { info() {} } as never }),
      /`logger` must have the methods debug, info, warn, error/,
    )
    assert.throws(
      () => new Etcd({ endpoints: 'a', logLevel: 'trace' as never }),
      /`logLevel` must be 'debug' or 'info'/,
    )
  })

  test('reports an informer without permission as an error', async (t) => {
    const admin = createClient(t, cluster, { auth: { username: 'root', password: rootPassword } })
    await addUser(admin, 'logged', 'pw', { range: { prefix: 'log/' } })
    const { logger, lines } = recorder()
    const etcd = createClient(t, cluster, { auth: { username: 'logged', password: 'pw' }, logger })
    await etcd.get('log/key')
    await assert.rejects(etcd.informer({ prefix: 'other/' }).ready(), { code: 'PERMISSION_DENIED' })
    assert.ok(
      lines.some((line) => /^error etcd: informer of prefix "other\/" ended.*PERMISSION_DENIED/.test(line)),
      lines.join('\n'),
    )
  })
})
