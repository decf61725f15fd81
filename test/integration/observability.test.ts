import assert from 'node:assert/strict'
import { AsyncLocalStorage } from 'node:async_hooks'
import { once } from 'node:events'
import { afterEach, describe, type TestContext, test } from 'node:test'
import {
  type CallRecord,
  type CallStart,
  type ConnectRecord,
  channels,
  Etcd,
  type InformerRecord,
  type LeaseRecord,
  type LockRecord,
  type LockStart,
  tracing,
  type WatchRecord,
} from '../../src/index.js'
import { poll } from '../../src/testing/index.js'
import { recordsOf } from '../support/channels.js'
import { runScript } from '../support/child.js'
import { useCluster } from '../support/cluster.js'
import { memberAt, proxyAt } from '../support/cluster-view.js'
import { createClient, uniquePrefix } from '../support/fixtures.js'

describe('The telemetry of a client', () => {
  const cluster = useCluster({ members: 2, proxy: true })

  afterEach(() => {
    for (const index of [0, 1]) proxyAt(cluster, index).heal()
  })

  async function connected(t: TestContext, slowCallMs = 300): Promise<Etcd> {
    const etcd = createClient(t, cluster, { diagnostics: { name: 'app', slowCallMs } })
    await etcd.connect()
    await poll('all are ready', () => etcd.endpoints().every(({ state }) => state === 'ready') || undefined)
    return etcd
  }

  test('reports a slow call, and no other, with everything needed to find the reason', async (t) => {
    const etcd = await connected(t, 100)
    const prefix = uniquePrefix()
    for (const name of ['a', 'b', 'c']) await etcd.put(`${prefix}${name}`, 'value')
    const slow = recordsOf<CallRecord>(t, channels.slow)
    await etcd.count({ prefix })
    let resets = 0
    for (const index of [0, 1]) {
      const proxy = proxyAt(cluster, index)
      proxy.onData((bytes) => {
        if (!bytes.includes(prefix) || resets > 0) return undefined
        resets += 1
        // The repeat, on the other member, is slow.
        proxyAt(cluster, 1 - index).delay(120)
        return 'reset'
      })
    }
    await etcd.range({ prefix }, { mode: 'serializable' })
    const [record = assert.fail(), ...others] = slow
    assert.deepEqual(others, [])
    assert.deepEqual([record.client.name, record.method, record.mode], ['app', 'KV.Range', 'serializable'])
    assert.deepEqual(record.request, { range: 'prefix', keyText: prefix, operations: 1 })
    assert.deepEqual([record.responseKeys, record.attempts, record.outcome.ok], [3, 2, true])
    assert.ok(record.requestBytes > prefix.length && record.responseBytes > 3 * prefix.length)
    assert.ok(['leader', 'follower'].includes(record.role ?? ''))
    const [first, second] = record.attemptRecords
    assert.deepEqual([first?.reason, second?.reason], ['first', 'CONNECTION_LOST'])
    assert.ok(first?.outcome.ok === false && second?.outcome.ok)
    assert.equal(second.endpoint, record.endpoint)
    assert.ok(record.wireMs >= 100 && record.durationMs >= record.wireMs, `${record.wireMs} of ${record.durationMs} ms`)
    const { queueMs, authMs, connectMs, backoffMs, wireMs, durationMs } = record
    assert.ok(Math.abs(queueMs + authMs + connectMs + backoffMs + wireMs - durationMs) < 1e-6)
  })

  test("reports an operation to tracers from its start, in the caller's context", async (t) => {
    const etcd = await connected(t)
    const caller = new AsyncLocalStorage<string>()
    const bound = new AsyncLocalStorage<number>()
    const seen: string[] = []
    const callIds: number[] = []
    tracing.call.start.bindStore(bound, ({ callId }) => callId)
    t.after(() => tracing.call.start.unbindStore(bound))
    const see =
      (name: string) =>
      (message: object): void => {
        // Messages of both have these.
        const { callId, outcome } = message as CallStart & Partial<CallRecord>
        callIds.push(callId)
        seen.push(`${name} ${caller.getStore()} ${outcome?.ok}`)
      }
    const attemptStarted = (): number =>
      seen.push(`attempt in ${bound.getStore() === callIds[0] ? 'its call' : 'nothing'}`)
    const call = { start: see('start'), end: see('end'), asyncStart: see('asyncStart'), asyncEnd: see('asyncEnd') }
    const handlers = { ...call, error: see('error') }
    tracing.call.subscribe(handlers)
    tracing.attempt.start.subscribe(attemptStarted)
    t.after(() => tracing.call.unsubscribe(handlers))
    t.after(() => tracing.attempt.start.unsubscribe(attemptStarted))
    await caller.run('request 1', () => etcd.put('traced', 'value'))
    assert.equal(new Set(callIds).size, 1)
    assert.deepEqual(seen.splice(0), [
      'start request 1 undefined',
      'attempt in its call',
      'end request 1 undefined',
      'asyncStart request 1 true',
      'asyncEnd request 1 true',
    ])
    await assert.rejects(etcd.get('traced', { revision: 1e9 }))
    assert.deepEqual(seen.slice(-3), [
      'error undefined false',
      'asyncStart undefined false',
      'asyncEnd undefined false',
    ])
  })

  test('reports connections, watches, leases and informers', async (t) => {
    const connects = recordsOf<ConnectRecord>(t, channels.connect)
    const watches = recordsOf<WatchRecord>(t, channels.watch)
    const leases = recordsOf<LeaseRecord>(t, channels.lease)
    const informers = recordsOf<InformerRecord>(t, channels.informer)
    const etcd = await connected(t)
    const url = etcd.endpoints()[0]?.endpoint
    const states = connects
      .filter(({ endpoint }) => endpoint === url)
      .map(({ previous, state }) => `${previous} ${state}`)
    assert.deepEqual(states, ['idle connecting', 'connecting probing', 'probing ready'])

    const prefix = uniquePrefix()
    const lease = await etcd.lease.grant(3)
    await poll('it is renewed', () => leases[0])
    const [renewed] = leases
    assert.ok(renewed?.type === 'renewed' && renewed.leaseId === lease.id && renewed.ttlSeconds === 3)
    assert.ok(renewed.durationMs > 0 && renewed.slackMs > 0 && renewed.slackMs < 3000)

    const informer = etcd.namespace(prefix).informer({ prefix: 'a/' })
    await informer.ready()
    assert.deepEqual(
      informers.map(({ type, range, keyText }) => [type, range, keyText]),
      [['ready', 'prefix', `${prefix}a/`]],
    )
    const watch = etcd.watch({ prefix })
    await watch.ready()
    for (const index of [0, 1]) proxyAt(cluster, index).cut()
    await poll('the watches go on', () => watches.find(({ type }) => type === 'resumed'))
    await watch.close()
    await informer.close()
    const published = watches.map((record) => ('keyText' in record ? `${record.type} ${record.keyText}` : record.type))
    assert.deepEqual(
      published.sort(),
      ['lost', `opened ${prefix}`, `opened ${prefix}a/`, 'resumed', `ended ${prefix}`, `ended ${prefix}a/`].sort(),
    )
    const ended = watches.find((record) => record.type === 'ended' && record.keyText === prefix)
    assert.ok(ended?.type === 'ended' && ended.reconnects === 1 && ended.error === undefined)
    await lease.revoke()
  })

  test('reports locks: the wait, the hold, the loss', async (t) => {
    const locks = recordsOf<LockRecord>(t, channels.lock)
    const etcd = await connected(t)
    const prefix = uniquePrefix()
    const [tenant, traced] = [etcd.namespace(prefix), [] as (string | undefined)[]]
    const onStart = (message: unknown): number => traced.push((message as LockStart).name)
    tracing.lock.start.subscribe(onStart)
    t.after(() => tracing.lock.start.unsubscribe(onStart))
    const first = await tenant.lock('a')
    const waiting = tenant.lock('a')
    await assert.rejects(tenant.tryLock('a'), { code: 'LOCK_UNAVAILABLE' })
    await first.release()
    await (await waiting).release()
    await tenant.withLock('b', {}, () => {})
    const leader = await etcd.election(`${prefix}c`).campaign('me')
    const lost = once(leader.signal, 'abort')
    await etcd.lease.revoke(leader.keyText.slice(`${prefix}c/`.length))
    await lost
    const published = locks.map(({ type, name }) => `${type} ${name?.slice(prefix.length)}`)
    assert.deepEqual(published, [
      'granted a',
      'refused a',
      'released a',
      'granted a',
      'released a',
      'granted b',
      'released b',
      'granted c',
      'lost c',
    ])
    assert.deepEqual(
      traced.map((name) => name?.slice(prefix.length)),
      ['a', 'a', 'a', 'b', 'c'],
    )
    const [granted, , released, second] = locks
    assert.ok(granted?.type === 'granted' && granted.fence === first.fence && granted.durationMs > 0)
    assert.ok(released?.type === 'released' && second?.type === 'granted' && second.durationMs > 0)
  })

  test('reports the same for barriers, queues and permits', async (t) => {
    const locks = recordsOf<LockRecord>(t, channels.lock)
    const etcd = await connected(t)
    const prefix = uniquePrefix()
    const tenant = etcd.namespace(prefix)
    const rwLock = tenant.rwLock('rw')
    const reader = await rwLock.read()
    await assert.rejects(rwLock.tryWrite(), { code: 'LOCK_UNAVAILABLE' })
    await reader.release()
    await using writer = await rwLock.write()
    await assert.rejects(rwLock.read({ timeoutMs: 20 }), { code: 'LOCK_TIMEOUT' })
    const permit = await tenant.semaphore('permits', 1).acquire()
    const lost = once(permit.signal, 'abort')
    // Nobody looks for it before it was held for a moment.
    await tenant.delete(permit.keyText)
    await lost
    await permit.release()
    await (await tenant.lockAll(['b', 'a'])).release()
    const published = locks.map(({ type, kind, name }) => `${type} ${kind} ${name?.slice(prefix.length)}`)
    assert.deepEqual(published, [
      'granted read rw',
      'refused write rw',
      'released read rw',
      'granted write rw',
      'refused read rw',
      'granted semaphore permits',
      'lost semaphore permits',
      'granted lock a',
      'granted lock b',
      'released lock a',
      'released lock b',
    ])
    const [granted, , released, written] = locks
    assert.ok(granted?.type === 'granted' && granted.fence === reader.fence && granted.durationMs > 0)
    assert.ok(released?.type === 'released' && released.heldMs > 0)
    assert.ok(written?.type === 'granted' && written.fence === writer.fence)
  })

  test('prints with NODE_DEBUG=etcdkit, and nothing without', async () => {
    const source = `
      import { Etcd } from './src/index.ts'
      const etcd = new Etcd({ endpoints: '${memberAt(cluster, 0).endpoint}', diagnostics: { name: 'app', slowCallMs: 0 } })
      await etcd.put('key', 'top-secret')
      await etcd.get('key', { revision: 1e9 }).catch(() => {})
      const watch = etcd.watch({ prefix: 'a/' })
      await watch.ready()
      await watch.close()
      await etcd.close()
    `
    const silent = await runScript(source, { NODE_DEBUG: '' })
    assert.deepEqual(silent, { code: 0, stdout: '', stderr: '' })
    const { code, stdout, stderr } = await runScript(source, { NODE_DEBUG: 'etcdkit' })
    assert.deepEqual([code, stdout], [0, ''])
    const expected = [
      /^ETCDKIT \d+: app: connection to http:\/\/\S+: ready after \d+(\.\d)? ms probing$/m,
      /^ETCDKIT \d+: app: slow call KV\.Put #\d+ of key "key": ok from http:\S+ \((leader|follower)\) after .*queue .*wire .*first → http/m,
      /^ETCDKIT \d+: app: KV\.Range #\d+, attempt 1 on http:\S+: \[FUTURE_REVISION\] .* after \d+(\.\d)? ms$/m,
      /^ETCDKIT \d+: app: watch of prefix "a\/" opened$/m,
      /^ETCDKIT \d+: app: watch of prefix "a\/" ended$/m,
    ]
    for (const line of expected) assert.match(stderr, line)
    assert.doesNotMatch(stderr, /top-secret|undefined|\[object/)
    assert.ok(
      stderr
        .trim()
        .split('\n')
        .every((line) => line.startsWith('ETCDKIT ')),
      stderr,
    )
  })

  test('rejects wrong options', () => {
    const make = (diagnostics: object) => () => new Etcd({ endpoints: cluster.endpoints, diagnostics })
    assert.throws(make({ name: '' }), /`diagnostics\.name` must be a non-empty string, got ""/)
    assert.throws(make({ keys: 'no' }), /`diagnostics\.keys` must be/)
    assert.throws(make({ slowCallMs: -1 }), /`diagnostics\.slowCallMs` must be milliseconds/)
    assert.throws(make({ slow: 1 }), /diagnostics.*slowCallMs/s)
  })
})
