import assert from 'node:assert/strict'
import { afterEach, describe, type TestContext, test } from 'node:test'
import { createServer } from 'node:tls'
import { type ClientOptions, Etcd, type EtcdError, isEtcdError } from '../../src/index.js'
import { CertificateAuthority, poll } from '../../src/testing/index.js'
import { runScript } from '../support/child.js'
import { startCluster, useCluster, useProxy } from '../support/cluster.js'
import { memberAt, received, storedKey } from '../support/cluster-view.js'
import { attemptRecords, createClient } from '../support/fixtures.js'
import { Load } from '../support/load.js'
import { within } from '../support/slack.js'

const transports = ['http2', 'grpc-js'] as const

describe('Calls over HTTP/2, beside streams', () => {
  const cluster = useCluster({ members: 3, proxy: true })
  const proxy = useProxy(cluster)

  afterEach(async () => {
    proxy.heal()
    await cluster.healthy()
  })

  /** A client of the first member alone, or with other options. */
  function client(t: TestContext, options: ClientOptions = {}): Etcd {
    const endpoints = memberAt(cluster, 0).endpoint
    return createClient(t, { endpoints: [endpoints] }, { transport: 'http2', ...options })
  }

  /** What matters of the error that a call ends with. */
  async function verdict(call: Promise<unknown>): Promise<Partial<EtcdError>> {
    const error = await call.then(
      () => assert.fail('it must fail'),
      (reason: unknown) => reason,
    )
    assert.ok(isEtcdError(error), String(error))
    const { code, effect, retryable, grpcCode, method } = error
    return { code, effect, retryable, grpcCode, method }
  }

  test('use their own connection; the stream connection opens with the first stream', async (t) => {
    const etcd = client(t)
    const acceptedBefore = proxy.accepted
    await etcd.put('key', 'value')
    await Promise.all(Array.from({ length: 50 }, () => etcd.get('key')))
    assert.equal(proxy.accepted - acceptedBefore, 1)
    const watcher = etcd.watch('key')
    await watcher.ready()
    await etcd.put('key', 'next')
    assert.equal(proxy.accepted - acceptedBefore, 2)
    const { value } = await watcher[Symbol.asyncIterator]().next()
    assert.equal(value?.kv.valueText, 'next')
    await watcher.close()
    await etcd.close()
    await poll('both are closed', () => proxy.connections === 0 || undefined)
  })

  test('succeed while streams cannot connect, and streams open once they can', async (t) => {
    const etcd = client(t)
    await etcd.put('key', 'value')
    proxy.refuse()
    const watcher = etcd.watch('key')
    const ready = watcher.ready()
    assert.equal((await etcd.get('key'))?.valueText, 'value')
    proxy.accept()
    await ready
    await etcd.put('key', 'next')
    const { value } = await watcher[Symbol.asyncIterator]().next()
    assert.equal(value?.kv.valueText, 'next')
  })

  test('fail with the same errors as over grpc-js', async (t) => {
    const verdicts = await Promise.all(
      transports.map(async (transport) => {
        const etcd = client(t, { transport, maxRequestBytes: 100_000_000 })
        await etcd.put('errors', 'value')
        const { revision } = await etcd.put('errors', 'value')
        return [
          await verdict(etcd.get('errors', { revision: revision + 1_000_000 })),
          await verdict(etcd.put('errors', 'value', { lease: '7fffffff' })),
          await verdict(etcd.touch('no such key')),
          await verdict(etcd.lease.revoke('7fffffff')),
          await verdict(etcd.auth.users.get('nobody')),
          await verdict(etcd.put('errors', Buffer.alloc(1_700_000))),
          await verdict(etcd.put('errors', Buffer.alloc(4_000_000))),
        ]
      }),
    )
    assert.deepEqual(verdicts[0], verdicts[1])
    assert.ok(verdicts[0]?.every(({ code }) => code !== 'UNKNOWN'))
  })

  test('carry large values both ways', async (t) => {
    const etcd = client(t)
    const value = Buffer.alloc(1_400_000, 'x')
    await Promise.all(Array.from({ length: 5 }, (_, index) => etcd.put(`large/${index}`, value)))
    const { kvs } = await etcd.range({ prefix: 'large/' })
    assert.deepEqual(
      kvs.map((kv) => kv.value.equals(value)),
      [true, true, true, true, true],
    )
    await etcd.deleteRange({ prefix: 'large/' })
  })

  test('have an unknown effect and are not retried when the connection breaks after they were sent', async (t) => {
    const etcd = client(t)
    await etcd.get('warm up')
    const before = await received(memberAt(cluster, 0), 'Put')
    const cut = proxy.cutAfter({ direction: 'down', bytes: 0 })
    await assert.rejects(
      etcd.put('cut', 'value'),
      (error) => isEtcdError(error, 'CONNECTION_LOST') && error.effect === 'unknown' && error.attempts === 1,
    )
    await cut
    await etcd.get('cut')
    assert.equal((await received(memberAt(cluster, 0), 'Put')) - before, 1)
    assert.equal((await storedKey(cluster, 'cut'))?.version, 1)
  })

  test('end at their deadline and immediately on abort, and cancel on the member', async (t) => {
    const etcd = client(t)
    await etcd.get('warm up')
    proxy.delay(3000, 'down')
    const startedAt = performance.now()
    await assert.rejects(etcd.get('key', { timeoutMs: 100 }), (error) => isEtcdError(error, 'DEADLINE_EXCEEDED'))
    const controller = new AbortController()
    const reason = new Error('no longer wanted')
    const aborted = etcd.put('key', 'value', { signal: controller.signal })
    controller.abort(reason)
    await assert.rejects(aborted, reason)
    assert.ok(performance.now() - startedAt < within(2500))
  })

  test('survive a graceful shutdown and restart of a member', async (t) => {
    const etcd = createClient(t, cluster, { transport: 'http2' })
    const records = attemptRecords(t)
    await using reads = new Load(() => etcd.get('key'))
    await using writes = new Load(() => etcd.put('key', 'value'))
    await cluster.terminate(2)
    await cluster.restart(2)
    const { endpoint } = memberAt(cluster, 2)
    await poll('it is back', () => etcd.endpoints()[2]?.state === 'ready' || undefined)
    records.splice(0)
    await poll('it is called again', () => records.some((record) => record.endpoint === endpoint) || undefined)
    await Promise.all([reads.stop(), writes.stop()])
    assert.deepEqual(reads.failures, [])
    // A write under way on the member when it was killed may be lost, and says so.
    for (const { error } of writes.failures) assert.ok(isEtcdError(error) && error.effect === 'unknown', String(error))
    assert.ok(reads.successes > 0 && writes.successes > 0)
  })

  test('keep the process alive while they wait, and not afterwards', async () => {
    const endpoint = memberAt(cluster, 0).endpoint
    const source = `
      import { Etcd } from './src/index.ts'
      const etcd = new Etcd({ endpoints: '${endpoint}', transport: 'http2' })
      await etcd.put('key', 'value')
      setTimeout(() => console.log('too long'), 5000).unref()
      console.log((await etcd.get('key')).valueText)
    `
    const { code, stdout, stderr } = await runScript(source)
    assert.deepEqual([code, stdout, stderr], [0, 'value\n', ''])
  })
})

describe('TLS over HTTP/2', () => {
  test('verifies members, presents a client certificate and reports what failed', async (t) => {
    const cluster = await startCluster(t, { tls: { clientCertAuth: true } })
    const { ca, cert, key } = cluster.tls ?? assert.fail()
    const etcd = createClient(t, cluster, { transport: 'http2', tls: { ca, cert, key } })
    await etcd.put('key', 'value')
    assert.equal((await etcd.get('key'))?.valueText, 'value')
    const cases = [
      [{ ca: new CertificateAuthority().cert, cert, key }, /unable to verify|self.signed|signature/],
      [{ ca }, /TLS: .*certificate/],
      [{ ca, cert, key, servername: 'elsewhere.example' }, /elsewhere\.example/],
    ] as const
    const refusals = cases.map(([tls, why]) => {
      const refused = createClient(t, cluster, { transport: 'http2', tls, connectTimeoutMs: 1500 })
      return assert.rejects(
        refused.get('key'),
        (error) => isEtcdError(error, 'NOT_CONNECTED') && why.test(error.message),
      )
    })
    await Promise.all(refusals)
  })

  test('rejects a server that does not negotiate HTTP/2', async (t) => {
    const authority = new CertificateAuthority()
    const server = createServer({ ...authority.issue() }, (socket) => socket.on('error', () => {})).listen(
      0,
      '127.0.0.1',
    )
    await new Promise((resolve) => server.once('listening', resolve))
    t.after(() => server.close())
    const address = server.address()
    assert.ok(typeof address === 'object' && address !== null)
    const endpoints = `https://127.0.0.1:${address.port}`
    const etcd = new Etcd({ endpoints, transport: 'http2', tls: { ca: authority.cert }, connectTimeoutMs: 500 })
    t.after(() => etcd.close())
    await assert.rejects(
      etcd.get('key'),
      (error) => isEtcdError(error, 'NOT_CONNECTED') && /ALPN h2/.test(error.message),
    )
  })
})
