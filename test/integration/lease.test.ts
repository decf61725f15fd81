import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Etcd, isEtcdError, LeaseLostError, put } from '../../src/index.js'
import { poll } from '../../src/testing/index.js'
import { runScript } from '../support/child.js'
import { startCluster, useCluster } from '../support/cluster.js'
import { memberAt, proxyAt, received } from '../support/cluster-view.js'
import { attemptRecords, createClient, uniquePrefix, untyped } from '../support/fixtures.js'

describe('Leases', () => {
  const cluster = useCluster()

  function renewals(): Promise<number> {
    return memberAt(cluster, 0).metric('grpc_server_msg_sent_total', { grpc_method: 'LeaseKeepAlive' })
  }

  function streams(): Promise<number> {
    return received(memberAt(cluster, 0), 'LeaseKeepAlive')
  }

  async function leftSeconds(etcd: Etcd, id: string): Promise<number | undefined> {
    return (await etcd.lease.timeToLive(id))?.remainingSeconds
  }

  test('with a TTL below a second, or wrong arguments, are rejected before anything is sent', async (t) => {
    const etcd = createClient(t, cluster)
    const records = attemptRecords(t)
    const { grant, revoke } = untyped(etcd.lease)
    const wrong = { name: 'InvalidArgumentError' }
    const refused = async (call: typeof grant, ...args: unknown[]) =>
      assert.rejects(async () => call?.apply(etcd.lease, args), wrong)
    for (const ttl of [0, 0.5, -1, '10', Number.NaN]) await refused(grant, ttl)
    await refused(grant, 10, { ttl: 1 })
    await refused(grant, 10, { keepAlive: 'no' })
    for (const id of ['', 'xyz', '0', 7, '11112222333344445']) await refused(revoke, id)
    await assert.rejects(etcd.lease.grant(10_000_000_000), { code: 'LEASE_TTL_TOO_LARGE' })
    assert.equal(records.length, 1)
  })

  test('live as long as the server grants, not as long as requested', async (t) => {
    const slow = await startCluster(t, { timers: 'default' })
    const etcd = createClient(t, slow)
    const lease = await etcd.lease.grant(1)
    assert.equal(lease.ttlSeconds, 2)
    assert.ok(lease.remainingMs > 1000 && lease.remainingMs <= 2000)
    await sleep(2300)
    assert.equal(lease.state, 'active')
    assert.ok(lease.isAlive())
  })

  test('have keys that show their lease and are deleted with it, also in a transaction', async (t) => {
    const etcd = createClient(t, cluster)
    const prefix = uniquePrefix()
    const lease = await etcd.lease.grant(60, { keepAlive: false })
    await etcd.put(`${prefix}a`, '1', { lease: lease.id })
    await etcd
      .txn()
      .then(put(`${prefix}b`, '2', { lease: lease.id }))
      .commit()
    const { kvs } = await etcd.range({ prefix })
    assert.deepEqual(
      kvs.map((kv) => kv.lease),
      [lease.id, lease.id],
    )
    const status = await etcd.lease.timeToLive(lease.id, { keys: true })
    assert.deepEqual(status?.keys?.map(String).sort(), [`${prefix}a`, `${prefix}b`])
    assert.equal(status?.ttlSeconds, 60)
    assert.ok((await etcd.lease.list()).includes(lease.id))
    await lease.revoke()
    assert.equal(await etcd.count({ prefix }), 0)
    assert.equal(await etcd.lease.timeToLive(lease.id), undefined)
    assert.equal(lease.state, 'revoked')
    await lease.revoke()
  })

  test('take the ID chosen by the caller, in any spelling', async (t) => {
    const etcd = createClient(t, cluster)
    const lease = await etcd.lease.grant(60, { id: '00ABCdef', keepAlive: false })
    assert.equal(lease.id, 'abcdef')
    assert.equal((await etcd.lease.timeToLive('ABCDEF'))?.id, 'abcdef')
    await assert.rejects(etcd.lease.grant(60, { id: 'abcdef' }), { code: 'LEASE_EXISTS', effect: 'none' })
    await etcd.lease.revoke('0abcdef')
    await assert.rejects(etcd.lease.revoke('abcdef'), { code: 'LEASE_NOT_FOUND' })
    assert.equal(lease.state, 'revoked')
  })

  test('of two seconds are renewed at a sixth of their TTL while they are kept alive, and not after close()', async (t) => {
    const etcd = createClient(t, cluster)
    const before = await renewals()
    const grantedAt = performance.now()
    const lease = await etcd.lease.grant(2)
    // How many there may be by now: one for each sixth of the TTL.
    const maxCount = (): number => Math.floor((performance.now() - grantedAt) / (2000 / 6))
    await sleep(200)
    const early = (await renewals()) - before
    assert.ok(early <= maxCount(), `${early} renewals, ${maxCount()} are due`)
    await sleep(1950)
    const count = (await renewals()) - before
    assert.ok(count >= 5 && count <= maxCount(), `${count} renewals, ${maxCount()} are due`)
    lease.close()
    assert.equal(lease.state, 'closed')
    assert.equal(lease.signal.reason.reason, 'closed')
    assert.notEqual(await leftSeconds(etcd, lease.id), undefined)
    await poll('the lease is gone', async () => (await leftSeconds(etcd, lease.id)) === undefined || undefined)
    assert.equal((await renewals()) - before, count)
  })

  test('expire at their time if they are not kept alive, and report it no later than the server', async (t) => {
    const etcd = createClient(t, cluster)
    const lost: string[] = []
    etcd.on('leaseLost', ({ leaseId, reason }) => lost.push(`${leaseId} ${reason}`))
    const lease = await etcd.lease.grant(1, { keepAlive: false })
    await etcd.put('runs-out', '', { lease: lease.id })
    const watcher = etcd.watch('runs-out', { only: 'delete' })
    for await (const _ of watcher) break
    assert.ok(lease.signal.aborted)
    assert.equal(lease.remainingMs, 0)
    assert.ok(lease.signal.reason instanceof LeaseLostError)
    assert.equal(lease.signal.reason.reason, 'expired')
    assert.ok(isEtcdError(lease.signal.reason, 'LEASE_LOST'))
    assert.deepEqual(lost, [`${lease.id} expired`])
  })

  test('revoked by others are lost with that reason at the next renewal', async (t) => {
    const etcd = createClient(t, cluster)
    const lease = await etcd.lease.grant(2)
    await createClient(t, cluster).lease.revoke(lease.id)
    await poll('the loss is noticed', () => lease.signal.aborted || undefined)
    assert.equal(lease.state, 'revoked')
    assert.equal(lease.signal.reason.reason, 'revoked')
    await assert.rejects(etcd.put('k', 'v', { lease: lease.id }), { code: 'LEASE_NOT_FOUND', effect: 'none' })
  })

  test('can be renewed by hand, and all leases share one stream for it', async (t) => {
    const etcd = createClient(t, cluster)
    const before = await streams()
    const { id } = await etcd.lease.grant(9, { keepAlive: false })
    await poll('a second has passed', async () => (await leftSeconds(etcd, id)) === 7 || undefined)
    assert.equal(await etcd.lease.keepAliveOnce(id), 9)
    assert.equal(await leftSeconds(etcd, id), 8)
    await assert.rejects(etcd.lease.keepAliveOnce('1234'), { code: 'LEASE_NOT_FOUND', effect: 'none' })
    await Promise.all(Array.from({ length: 100 }, () => etcd.lease.keepAliveOnce(id)))
    assert.equal((await streams()) - before, 3)
    const reason = new Error('enough')
    await assert.rejects(etcd.lease.keepAliveOnce(id, { signal: AbortSignal.abort(reason) }), reason)
  })

  test('renewed by hand do not disturb the stream of other leases, however short the time limit is', async (t) => {
    const slow = await startCluster(t, { proxy: true })
    const etcd = createClient(t, slow)
    const lost: unknown[] = []
    etcd.on('keepAliveLost', (event) => lost.push(event))
    const kept = await etcd.lease.grant(60)
    const { id } = await etcd.lease.grant(60, { keepAlive: false })
    await etcd.lease.keepAliveOnce(kept.id)
    proxyAt(slow, 0).delay(150)
    assert.equal(await etcd.lease.keepAliveOnce(id, { timeoutMs: 600 }), 60)
    assert.deepEqual(lost, [])
  })

  test("are listed, with their remaining time, by members that lag behind this client's own writes", async (t) => {
    const three = await startCluster(t, { members: 3 })
    const etcd = createClient(t, three)
    const rewound: unknown[] = []
    etcd.on('revisionRewound', (event) => rewound.push(event))
    const { id } = await etcd.lease.grant(60)
    for (let count = 0; count < 200; count += 1) {
      await etcd.put('key', String(count))
      const [leases, rest] = await Promise.all([etcd.lease.list(), etcd.lease.timeToLive(id)])
      assert.deepEqual([leases.includes(id), rest?.ttlSeconds], [true, 60])
    }
    assert.deepEqual(rewound, [])
  })

  test('of 2,000 holders are renewed by one stream', async (t) => {
    const etcd = createClient(t, cluster)
    const before = await streams()
    const leases = await Promise.all(Array.from({ length: 2000 }, () => etcd.lease.grant(6)))
    const sent = await renewals()
    const cpu = process.cpuUsage()
    await poll('all are renewed twice', async () => (await renewals()) - sent >= 4000 || undefined, { intervalMs: 100 })
    const { user, system } = process.cpuUsage(cpu)
    t.diagnostic(`${((user + system) / 4000).toFixed()} µs of CPU for a renewal, this test's polling among it`)
    // While a member is busy, a second stream is tried.
    assert.ok((await streams()) - before <= 2)
    assert.ok(leases.every((lease) => lease.state === 'active'))
  })

  test('closed or revoked right after the grant leave no stream open', async (t) => {
    const ended = () => memberAt(cluster, 0).metric('grpc_server_handled_total', { grpc_method: 'LeaseKeepAlive' })
    const open = async () => (await streams()) - (await ended())
    const etcd = createClient(t, cluster)
    const before = await open()
    for (const waitMs of [undefined, undefined, undefined, 0, 1, 3]) {
      for (const end of ['close', 'revoke'] as const) {
        const lease = await etcd.lease.grant(60)
        if (waitMs !== undefined) await sleep(waitMs)
        await lease[end]()
        await sleep(5)
      }
    }
    await poll('no stream is open', async () => (await open()) <= before || undefined)
    assert.equal(etcd.stats().leases, 0)
  })

  test('leave no stream, no state and no running process when the client is closed', async (t) => {
    const source = (endpoint: string) => `
      import { Etcd } from './src/index.ts'
      const etcd = new Etcd({ endpoints: ['${endpoint}'] })
      const lease = await etcd.lease.grant(60)
      const quiet = await etcd.lease.grant(60, { keepAlive: false })
      await etcd.close()
      console.log(lease.state, lease.signal.reason.reason, lease.isAlive(), quiet.state)
      await etcd.lease.grant(60).catch(({ code }) => console.log(code))
      await etcd.lease.keepAliveOnce(lease.id).catch(({ code }) => console.log(code))`
    const { stdout, code, stderr } = await runScript(source(cluster.endpoints[0] ?? ''))
    assert.deepEqual([stdout, code, stderr], ['closed closed false closed\nCLOSED\nCLOSED\n', 0, ''])
    const etcd = createClient(t, cluster)
    const ended = () => memberAt(cluster, 0).metric('grpc_server_handled_total', { grpc_method: 'LeaseKeepAlive' })
    const before = await ended()
    const [opened] = [await streams(), await etcd.lease.grant(60)]
    await poll('the stream is open', async () => (await streams()) > opened || undefined)
    await etcd.close()
    await poll('the stream is over', async () => (await ended()) > before || undefined)
  })

  test('of a dead server are refused with the reason', async (t) => {
    const etcd = createClient(t, { endpoints: ['http://127.0.0.1:1'] }, { connectTimeoutMs: 300 })
    await assert.rejects(etcd.lease.grant(10), { code: 'NOT_CONNECTED', effect: 'none' })
    await assert.rejects(etcd.lease.keepAliveOnce('7'), { code: 'NOT_CONNECTED' })
  })

  test('accept call options: no time means no put, and nothing is written', async (t) => {
    const etcd = createClient(t, cluster)
    const key = uniquePrefix()
    await using lease = await etcd.lease.grant(60)
    await assert.rejects(etcd.put(key, 'v', { lease: lease.id, timeoutMs: 0 }), { code: 'DEADLINE_EXCEEDED' })
    assert.equal(await etcd.exists(key), false)
    await assert.rejects(etcd.lease.grant(10, { timeoutMs: 0 }), { code: 'DEADLINE_EXCEEDED', effect: 'none' })
    const reason = new Error('enough')
    await assert.rejects(etcd.lease.grant(10, { signal: AbortSignal.abort(reason) }), reason)
  })
})
