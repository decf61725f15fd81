import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { isEtcdError } from '../../src/index.js'
import { poll } from '../../src/testing/index.js'
import { assertAllCalls } from '../support/all-calls.js'
import { useClient, useCluster } from '../support/cluster.js'
import { storedKeys } from '../support/cluster-view.js'
import { createClient, uniquePrefix } from '../support/fixtures.js'
import { startGrpcProxy } from '../support/grpc-proxy.js'
import { within } from '../support/slack.js'
import { transports } from './transports.js'

describe("etcd's gRPC proxy in front of three members", { concurrency: true }, () => {
  const cluster = useCluster({ members: 3 })
  const direct = useClient(cluster)

  for (const transport of transports) {
    test(`carries calls of every kind by ${transport}`, async (t) => {
      const etcd = createClient(t, { endpoints: [await startGrpcProxy(t, cluster)] }, { transport })
      await etcd.connect({ timeoutMs: 15_000 })
      await assertAllCalls(etcd, uniquePrefix())
    })

    test(`with a namespace shows keys without it, and stores them with it, by ${transport}`, async (t) => {
      const namespace = `${uniquePrefix()}tenant/`
      const etcd = createClient(
        t,
        { endpoints: [await startGrpcProxy(t, cluster, `--namespace=${namespace}`)] },
        { transport },
      )
      await etcd.connect({ timeoutMs: 15_000 })
      await assertAllCalls(etcd, 'all/')
      await using watcher = etcd.watch('key')
      await watcher.ready()
      await direct.put(`${namespace}key`, 'value')
      for await (const { keyText, valueText } of watcher) {
        assert.deepEqual([keyText, valueText], ['key', 'value'])
        break
      }
      const lock = await etcd.lock('lock')
      const [stored] = await storedKeys(cluster, `${namespace}lock/`)
      assert.equal(stored?.key, `${namespace}${lock.keyText}`)
      await lock.release()
    })

    test(`with a cache of leased keys answers with old revisions, which is reported, by ${transport}`, async (t) => {
      const leasing = `--experimental-leasing-prefix=${uniquePrefix()}leasing/`
      const prefix = uniquePrefix()
      const endpoints = [await startGrpcProxy(t, cluster, leasing)]
      const etcd = createClient(t, { endpoints }, { transport, batching: { reads: false } })
      await etcd.connect({ timeoutMs: 15_000 })
      await etcd.put(`${prefix}key`, 'value')
      await poll('an old revision is reported', async () => {
        try {
          assert.equal((await etcd.get(`${prefix}key`))?.valueText, 'value')
          await direct.put(`${prefix}other`, '')
          await etcd.get(`${prefix}other`)
          return undefined
        } catch (error) {
          return isEtcdError(error, 'REVISION_REWOUND') || undefined
        }
      })
    })

    test(`keeps leases alive, whose keys go when they are no longer renewed, by ${transport}`, async (t) => {
      const etcd = createClient(t, { endpoints: [await startGrpcProxy(t, cluster)] }, { transport })
      await etcd.connect({ timeoutMs: 15_000 })
      const name = `${uniquePrefix()}held`
      const ttlSeconds = Math.min(15, Math.ceil(within(5)))
      const leases = await Promise.all(Array.from({ length: 20 }, () => etcd.lease.grant(ttlSeconds)))
      const [first = assert.fail()] = leases
      await etcd.put(name, 'here', { lease: first.id })
      await sleep(1.6 * ttlSeconds * 1000)
      assert.ok(leases.every((lease) => lease.isAlive()))
      assert.equal((await direct.get(name))?.valueText, 'here')
      assert.equal((await etcd.get(name))?.valueText, 'here', 'through the proxy')
      await using watcher = direct.watch(name)
      await watcher.ready()
      await etcd.close()
      for await (const { type } of watcher) {
        assert.equal(type, 'delete')
        break
      }
    })
  }
})
