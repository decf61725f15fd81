import assert from 'node:assert/strict'
import { beforeEach, describe, type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { Etcd, type Lease } from '../../src/index.js'
import { poll } from '../../src/testing/index.js'
import { runScript } from '../support/child.js'
import { useCluster, useProxy } from '../support/cluster.js'
import { memberAt } from '../support/cluster-view.js'
import { createClient } from '../support/fixtures.js'
import { within } from '../support/slack.js'

/** The client's lease events during the test. */
function listen(etcd: Etcd): string[] {
  const emitted: string[] = []
  etcd.on('keepAliveLost', () => emitted.push('keepAliveLost'))
  etcd.on('keepAliveResumed', () => emitted.push('keepAliveResumed'))
  etcd.on('leaseLost', ({ reason }) => emitted.push(reason))
  return emitted
}

function lost(lease: Lease): Promise<number> {
  return new Promise((resolve) => {
    lease.signal.addEventListener('abort', () => resolve(performance.now()))
  })
}

describe('Leases over a broken link', () => {
  const cluster = useCluster({ proxy: true })
  const proxy = useProxy(cluster)

  test('with a TTL of ten seconds survive an outage of three, all 2,000 of them', async (t) => {
    const etcd = createClient(t, cluster)
    const emitted = listen(etcd)
    // On a busy machine, 2,000 grants take a part of the TTL.
    const ttlSeconds = Math.ceil(within(10_000) / 1000)
    const leases = await Promise.all(Array.from({ length: 2000 }, () => etcd.lease.grant(ttlSeconds)))
    proxy.refuse()
    proxy.cut()
    await poll('the loss of the stream is noticed', () => emitted.length > 0 || undefined)
    assert.ok(leases.every(({ state }) => state === 'activeNoConnection'))
    await sleep(3000)
    proxy.accept()
    await poll('the stream is back', () => emitted.length > 1 || undefined)
    // Longer than any of them would have lived without a renewal.
    await sleep((ttlSeconds - 3.2) * 1000)
    assert.deepEqual(emitted, ['keepAliveLost', 'keepAliveResumed'])
    assert.ok(leases.every(({ state }) => state === 'active'))
    assert.equal((await etcd.lease.list()).length, 2000)
    await Promise.all(leases.map((lease) => lease.revoke()))
  })

  test('are lost at their deadline when the server falls silent, before other clients see their keys deleted', async (t) => {
    const etcd = createClient(t, cluster)
    const witness = new Etcd({ endpoints: [memberAt(cluster, 0).clientUrl] })
    t.after(() => witness.close())
    const emitted = listen(etcd)
    const lease = await etcd.lease.grant(3)
    await etcd.put('silent', '', { lease: lease.id })
    const watcher = witness.watch('silent', { only: 'delete' })
    await watcher.ready()
    const gone = (async () => {
      for await (const _ of watcher) return performance.now()
      return 0
    })()
    await sleep(1300)
    proxy.blackhole()
    const lostAt = await lost(lease)
    assert.ok(lostAt - lease.expiresAt < within(100), `${lostAt - lease.expiresAt} ms after the deadline`)
    assert.equal(lease.signal.reason.reason, 'expired')
    assert.deepEqual(emitted, ['keepAliveLost', 'expired'])
    const earlyMs = (await gone) - lostAt
    assert.ok(earlyMs > 0, `the key was gone ${-earlyMs} ms before`)
    t.diagnostic(`lost ${earlyMs.toFixed()} ms before the key was gone`)
  })

  test('are granted once when the answer to the grant is lost', async (t) => {
    const etcd = createClient(t, cluster)
    await etcd.get('warm up')
    const before = (await etcd.lease.list()).length
    const handled = () => memberAt(cluster, 0).metric('grpc_server_handled_total', { grpc_method: 'LeaseGrant' })
    const count = await handled()
    proxy.onData((_, { direction }) => (direction === 'down' ? 'drop' : undefined))
    const granting = etcd.lease.grant(20)
    await poll('the member has granted it', async () => (await handled()) > count || undefined)
    proxy.onData(undefined)
    proxy.cut()
    await using lease = await granting
    assert.equal(lease.ttlSeconds, 20)
    assert.ok(lease.remainingMs > 15_000)
    assert.equal((await etcd.lease.list()).length, before + 1)
    assert.equal((await handled()) - count, 2)
  })

  test('are granted again when they have expired before the answer arrives', async (t) => {
    const etcd = createClient(t, cluster)
    await etcd.get('warm up')
    const bounds = { timeoutMs: 15_000 }
    proxy.blackhole('down')
    const made = Promise.all([
      etcd.lease.grant(2, bounds),
      etcd.lease.shared(2, bounds),
      etcd.register('late', '', { ttlSeconds: 2, ...bounds }),
      etcd.put('late/ttl', '', { ttlSeconds: 2, ...bounds }),
    ])
    await sleep(3500)
    proxy.heal()
    const [lease, shared, registration] = await made
    assert.ok(lease.isAlive() && shared.isAlive() && registration.isRegistered)
    assert.ok(await etcd.exists('late/ttl'))
  })

  for (const direction of ['down', 'up'] as const) {
    test(`give a key its full TTL after a put delayed on its way ${direction}`, async (t) => {
      const etcd = createClient(t, cluster)
      const witness = new Etcd({ endpoints: [memberAt(cluster, 0).clientUrl] })
      t.after(() => witness.close())
      // Nothing but the put is late.
      await etcd.put(`held/${direction}`, 'before', { ttlSeconds: 2 })
      await using watcher = witness.watch(`held/${direction}`, { only: 'delete' })
      await watcher.ready()
      proxy.blackhole(direction)
      const putting = etcd.put(`held/${direction}`, 'late', { ttlSeconds: 2, timeoutMs: 15_000 })
      await sleep(2500)
      proxy.heal()
      await putting
      const putAt = performance.now()
      assert.equal((await witness.get(`held/${direction}`))?.valueText, 'late')
      for await (const { kv } of watcher) {
        if ((await witness.get(kv.key)) === undefined) break
      }
      const livedMs = performance.now() - putAt
      assert.ok(livedMs >= 2000 && livedMs < within(7000), `the key lived for ${livedMs} ms`)
    })
  }

  test('with a chosen ID are reported as possibly granted when the answer is lost', async (t) => {
    const etcd = createClient(t, cluster)
    await etcd.get('warm up')
    const handled = () => memberAt(cluster, 0).metric('grpc_server_handled_total', { grpc_method: 'LeaseGrant' })
    const count = await handled()
    proxy.onData((_, { direction }) => (direction === 'down' ? 'drop' : undefined))
    const granting = etcd.lease.grant(20, { id: 'c0ffee' })
    granting.catch(() => {})
    await poll('the member has granted it', async () => (await handled()) > count || undefined)
    proxy.onData(undefined)
    proxy.cut()
    await assert.rejects(granting, { code: 'LEASE_EXISTS', effect: 'unknown', attempts: 2 })
    assert.equal((await etcd.lease.timeToLive('c0ffee'))?.ttlSeconds, 20)
    await etcd.lease.revoke('c0ffee')
  })

  test('are revoked once when the answer to the revocation is lost', async (t) => {
    const etcd = createClient(t, cluster)
    const lease = await etcd.lease.grant(20)
    const handled = () => memberAt(cluster, 0).metric('grpc_server_handled_total', { grpc_method: 'LeaseRevoke' })
    const count = await handled()
    proxy.onData((_, { direction }) => (direction === 'down' ? 'drop' : undefined))
    const revoking = lease.revoke()
    await poll('the member has revoked it', async () => (await handled()) > count || undefined)
    proxy.onData(undefined)
    proxy.cut()
    await revoking
    assert.equal(lease.state, 'revoked')
  })
})

describe('Leases on three members', () => {
  const cluster = useCluster({ members: 3 })

  beforeEach(() => cluster.healthy())

  /** A client with a lease that is renewed through the member, and nothing else to do there. */
  async function leaseOn(t: TestContext, index: number): Promise<{ etcd: Etcd; lease: Lease; emitted: string[] }> {
    const { endpoint } = memberAt(cluster, index)
    for (let turn = 0; ; turn += 1) {
      const etcd = createClient(t, cluster)
      // Members are chosen in turn.
      for (let call = 0; call < turn; call += 1) await etcd.get('turn')
      const emitted = listen(etcd)
      const streams = () =>
        memberAt(cluster, index).metric('grpc_server_started_total', { grpc_method: 'LeaseKeepAlive' })
      const before = await streams()
      const lease = await etcd.lease.grant(2)
      await etcd.put(`held by ${lease.id}`, endpoint, { lease: lease.id })
      await sleep(100)
      if ((await streams()) > before) return { etcd, lease, emitted }
      await etcd.close()
    }
  }

  async function assertSurvives({ lease, emitted }: { lease: Lease; emitted: string[] }): Promise<void> {
    const faultAt = performance.now()
    await poll('the lease is renewed elsewhere', () => lease.expiresAt > faultAt + 2000 || undefined)
    await sleep(2200)
    assert.equal(lease.state, 'active')
    assert.ok(!emitted.includes('expired'))
  }

  test('survive a frozen member', async (t) => {
    const follower = ((await cluster.leader()) + 1) % 3
    const held = await leaseOn(t, follower)
    await cluster.pause(follower)
    try {
      await assertSurvives(held)
    } finally {
      await cluster.resume(follower)
    }
  })

  test('of three seconds survive a frozen leader, at any point of the renewal interval', async (t) => {
    const leader = await cluster.leader()
    const emitted: string[] = []
    const leases: Lease[] = []
    for (let index = 0; index < 12; index += 1) {
      const etcd = createClient(t, cluster)
      etcd.on('leaseLost', ({ leaseId, reason }) => emitted.push(`${leaseId}: ${reason}`))
      leases.push(await etcd.lease.grant(3))
      await sleep(40)
    }
    await sleep(500)
    await cluster.pause(leader)
    const pausedAt = performance.now()
    try {
      await poll(
        'all are renewed by another leader',
        () => leases.every(({ expiresAt }) => expiresAt > pausedAt + 5000) || emitted.length > 0 || undefined,
      )
      assert.deepEqual(emitted, [])
      assert.ok(leases.every(({ state }) => state === 'active'))
    } finally {
      await cluster.resume(leader)
    }
  })

  test('renewed by hand leave a frozen member within seconds', async (t) => {
    const follower = ((await cluster.leader()) + 1) % 3
    const { lease, etcd } = await leaseOn(t, follower)
    lease.close()
    await cluster.pause(follower)
    try {
      const { id } = await etcd.lease.grant(20, { keepAlive: false })
      for (let call = 0; call < 12; call += 1) {
        await etcd.lease.keepAliveOnce(id, { timeoutMs: 2500 })
        await sleep(50)
      }
    } finally {
      await cluster.resume(follower)
    }
  })

  test('survive the death of the leader', async (t) => {
    const leader = await cluster.leader()
    const held = await leaseOn(t, leader)
    await cluster.kill(leader)
    await assertSurvives(held)
    await cluster.restart(leader)
  })

  test('are lost immediately, as stalled, when the process was suspended for longer than the TTL', async () => {
    const source = `
      import { Etcd } from './src/index.ts'
      const etcd = new Etcd({ endpoints: ${JSON.stringify(cluster.endpoints)} })
      etcd.on('leaseLost', ({ reason }) => console.log('event', reason))
      const [watched, asked] = [await etcd.lease.grant(1), await etcd.lease.grant(1)]
      watched.signal.addEventListener('abort', () => console.log('signal', watched.signal.reason.reason))
      const until = performance.now() + 2500
      while (performance.now() < until);
      console.log('asked', asked.isAlive(), asked.signal.aborted, asked.state)
      await new Promise((resolve) => setTimeout(resolve, 0))
      console.log('watched', watched.isAlive())
      await etcd.close()`
    const { stdout, code, stderr } = await runScript(source)
    const expected = [
      'event stalled',
      'asked false true expired',
      'signal stalled',
      'event stalled',
      'watched false',
      '',
    ]
    assert.deepEqual([stdout.split('\n'), code, stderr], [expected, 0, ''])
  })
})
