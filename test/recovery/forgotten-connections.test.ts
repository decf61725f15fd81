import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Etcd, isEtcdError } from '../../src/index.js'
import { poll } from '../../src/testing/index.js'
import { useCluster } from '../support/cluster.js'
import { memberAt, proxyAt, revive } from '../support/cluster-view.js'
import { createClient } from '../support/fixtures.js'
import { within } from '../support/slack.js'

describe('Connections forgotten by the network', () => {
  const cluster = useCluster({ members: 3, proxy: true })

  /** Those that are open lose everything from now on without a word, as behind a firewall; new ones work. */
  function forget(t: TestContext): void {
    for (const index of [0, 1, 2]) {
      const proxy = proxyAt(cluster, index)
      const { accepted } = proxy
      proxy.onData((_, { connection }) => (connection <= accepted ? 'drop' : undefined))
      t.after(() => proxy.heal())
    }
  }

  async function connected(t: TestContext, transport: 'grpc-js' | 'http2'): Promise<Etcd> {
    const etcd = createClient(t, cluster, { transport })
    await etcd.connect()
    await Promise.all(Array.from({ length: 9 }, () => etcd.put('key', 'value')))
    await poll('all are ready', () => etcd.endpoints().every(({ state }) => state === 'ready') || undefined)
    return etcd
  }

  for (const transport of ['grpc-js', 'http2'] as const) {
    test(`are probed before a write uses one that was idle for long, by ${transport}`, async (t) => {
      const etcd = await connected(t, transport)
      const watcher = etcd.watch('key')
      await watcher.ready()
      await watcher.close()
      await sleep(3200)
      forget(t)
      const startedAt = performance.now()
      for (let count = 0; count < 4; count += 1) await etcd.put('key', `${count}`)
      const tookMs = performance.now() - startedAt
      await etcd.watch('key').ready()
      const readyMs = performance.now() - startedAt - tookMs
      t.diagnostic(`four writes took ${tookMs.toFixed()} ms, a watch ${readyMs.toFixed()} ms`)
      assert.ok(tookMs < within(1500) && readyMs < within(1500))
    })

    test(`cost one write when they were in use, since all are probed when one is silent, by ${transport}`, async (t) => {
      const etcd = await connected(t, transport)
      forget(t)
      const startedAt = performance.now()
      const effects: unknown[] = []
      for (let count = 0; count < 6; count += 1) {
        const failed = await etcd.put('key', `${count}`).then(
          () => undefined,
          (error: unknown) => (isEtcdError(error) ? error.effect : error),
        )
        if (failed !== undefined) effects.push(failed)
      }
      const tookMs = performance.now() - startedAt
      t.diagnostic(`six writes took ${tookMs.toFixed()} ms`)
      assert.deepEqual(effects, ['unknown'])
      assert.ok(tookMs < within(3000))
    })

    test(`are left by all streams as soon as one of them detects the silence, by ${transport}`, async (t) => {
      t.after(() => revive(cluster))
      const frozen = (await cluster.leader()) === 0 ? 1 : 0
      const endpoint = memberAt(cluster, frozen).endpoint
      const etcd = createClient(t, { endpoints: [endpoint] }, { transport })
      const watcher = etcd.watch('key')
      await watcher.ready()
      const lease = await etcd.lease.grant(6)
      await sleep(100)
      etcd.setEndpoints(cluster.endpoints)
      await poll('all are ready', () => etcd.endpoints().every(({ state }) => state === 'ready') || undefined)
      await cluster.pause(frozen)
      const pausedAt = performance.now()
      await poll('the watch is on another member', () => {
        const { state, endpoint: on } = watcher.status
        return (state === 'active' && on !== endpoint) || undefined
      })
      const tookMs = performance.now() - pausedAt
      t.diagnostic(`the watch moved after ${tookMs.toFixed()} ms`)
      // A third of the lease's time for the next renewal, what that may take, and a check.
      assert.ok(tookMs < within(5500))
      assert.ok(lease.isAlive())
    })
  }
})
