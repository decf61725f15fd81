import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Etcd, isEtcdError } from '../../src/index.js'
import { assertAllCalls } from '../support/all-calls.js'
import { useClient, useCluster } from '../support/cluster.js'
import { createClient, uniquePrefix } from '../support/fixtures.js'
import { proxiesRoot, startTcpBalancer } from '../support/http2-proxies.js'
import { Load } from '../support/load.js'
import { within } from '../support/slack.js'
import { transports } from './transports.js'

const root = await proxiesRoot()
const skip = root instanceof Error ? root.message : false

const portsOf = (cluster: ReturnType<typeof useCluster>): number[] =>
  cluster.members.map(({ clientUrl }) => Number(new URL(clientUrl).port))

async function putUntilDone(etcd: Etcd, name: string, value: string): Promise<void> {
  for (;;) {
    try {
      await etcd.put(name, value)
      return
    } catch (error) {
      if (!isEtcdError(error) || error.effect !== 'unknown') throw error
    }
  }
}

describe('A balancer of TCP connections that ends idle ones', { skip, concurrency: true }, () => {
  const cluster = useCluster({ members: 3 })
  const direct = useClient(cluster)

  for (const transport of transports) {
    test(`fails no call and loses no event and no lease, by ${transport}`, async (t) => {
      assert.ok(typeof root === 'string')
      // A call that takes longer than this is cut, too.
      const idleMs = Math.min(6000, Math.ceil(within(1500)))
      const endpoint = await startTcpBalancer(t, root, portsOf(cluster), { idleMs })
      const etcd = createClient(t, { endpoints: [endpoint] }, { transport })
      const prefix = uniquePrefix()
      await assertAllCalls(etcd, `${prefix}all/`)
      await using watcher = etcd.watch({ prefix: `${prefix}watch/` })
      await using informer = etcd.informer({ prefix: `${prefix}watch/` })
      await Promise.all([watcher.ready(), informer.ready()])
      const lease = await etcd.lease.grant(Math.ceil(within(4)))
      await etcd.put(`${prefix}leased`, 'here', { lease: lease.id })
      const restMs = [0.87, 0.97, 1, 1.03, 1.13, 1.67].map((share) => share * idleMs)
      for (const [index, ms] of restMs.entries()) {
        await sleep(ms)
        await Promise.all([
          etcd.put(`${prefix}calls/${index}`, ''),
          etcd.get(`${prefix}calls/0`),
          direct.put(`${prefix}watch/${index}`, `${index}`),
        ])
      }
      const seen: string[] = []
      for await (const { valueText } of watcher) if (seen.push(valueText) === restMs.length) break
      assert.deepEqual(seen, [...restMs.keys()].map(String))
      await informer.waitForRevision((await direct.put(`${prefix}end`, '')).revision)
      assert.equal(informer.list().length, restMs.length)
      assert.ok(lease.isAlive())
      assert.equal((await direct.get(`${prefix}leased`))?.valueText, 'here')
      await lease.revoke()
    })
  }
})

describe('A balancer with one address for three members', { skip }, () => {
  for (const transport of transports) {
    describe(`by ${transport}`, () => {
      const cluster = useCluster({ members: 3 })
      const direct = useClient(cluster)

      test('carries calls of every kind, and goes on after its member was killed', async (t) => {
        assert.ok(typeof root === 'string')
        const endpoint = await startTcpBalancer(t, root, portsOf(cluster), { idleMs: 60_000 })
        const etcd = createClient(t, { endpoints: [endpoint] }, { transport })
        await assertAllCalls(etcd, uniquePrefix())
        const prefix = uniquePrefix()
        await using watcher = etcd.watch({ prefix })
        await watcher.ready()
        const lease = await etcd.lease.grant(Math.ceil(within(10)))
        let written = 0
        await using reads = new Load(() => etcd.get(`${prefix}key`), { workers: 2, restMs: 10 })
        for (const index of [0, 1, 2]) {
          await cluster.kill(index)
          const until = performance.now() + 1500
          while (performance.now() < until) {
            await putUntilDone(direct, `${prefix}key`, `${written}`)
            written += 1
            await sleep(20)
          }
          await cluster.restart(index)
          await cluster.healthy()
        }
        await reads.stop()
        assert.deepEqual(
          reads.failures.map(({ error }) => String(error)),
          [],
        )
        assert.ok(reads.successes > 20)
        const seen: string[] = []
        for await (const { valueText } of watcher) {
          // A put of unknown effect was repeated.
          if (valueText !== seen.at(-1)) seen.push(valueText)
          if (seen.length === written) break
        }
        assert.deepEqual(
          seen,
          Array.from({ length: written }, (_, index) => `${index}`),
        )
        assert.ok(lease.isAlive())
        await etcd.put(`${prefix}end`, 'still works')
      })
    })
  }
})
