import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { Etcd, isEtcdError } from '../../src/index.js'
import { startCluster } from '../support/cluster.js'
import { memberAt, proxyAt } from '../support/cluster-view.js'
import { within } from '../support/slack.js'

describe('A connection that goes silent', () => {
  test('is abandoned by the next read within two seconds when it was idle', async (t) => {
    const cluster = await startCluster(t, { members: 3, proxy: true })
    await using etcd = new Etcd({ endpoints: cluster.endpoints })
    await etcd.connect()
    await Promise.all(Array.from({ length: 9 }, () => etcd.get('key')))
    await sleep(500)
    proxyAt(cluster, 0).blackhole()
    const startedAt = performance.now()
    // One after another, so that one of the first three meets the silent connection.
    for (let count = 0; count < 6; count++) await etcd.get('key')
    const tookMs = performance.now() - startedAt
    t.diagnostic(`six reads took ${tookMs.toFixed()} ms`)
    assert.ok(tookMs < within(2000), `the reads took ${tookMs} ms`)
  })

  test('is replaced when its path is gone for good, although it is the only one', async (t) => {
    const cluster = await startCluster(t, { proxy: true })
    const proxy = proxyAt(cluster, 0)
    await using etcd = new Etcd({ endpoints: cluster.endpoints })
    await etcd.connect()
    assert.equal(proxy.accepted, 1)
    // Connections that were open lose everything from now on, new ones work.
    proxy.onData((_, { connection }) => (connection === 1 ? 'drop' : undefined))
    const startedAt = performance.now()
    assert.equal(await etcd.get('key'), undefined)
    const tookMs = performance.now() - startedAt
    t.diagnostic(`the read took ${tookMs.toFixed()} ms`)
    await etcd.put('key', 'value')
    assert.equal(etcd.endpoints()[0]?.state, 'ready')
  })

  test('recovers after eight seconds without any network', async (t) => {
    const cluster = await startCluster(t, { proxy: true })
    const proxy = proxyAt(cluster, 0)
    await using etcd = new Etcd({ endpoints: memberAt(cluster, 0).endpoint, timeoutMs: 1500 })
    await etcd.connect()
    proxy.blackhole('both', { bytes: 'lost' })
    const brokenAt = performance.now()
    while (performance.now() - brokenAt < 8000) {
      const startedAt = performance.now()
      await assert.rejects(etcd.get('key'), (error) => isEtcdError(error))
      assert.ok(performance.now() - startedAt < within(1750))
      await sleep(100)
    }
    proxy.heal()
    const healedAt = performance.now()
    for (;;) {
      try {
        await etcd.get('key')
        break
      } catch (error) {
        assert.ok(isEtcdError(error))
        assert.ok(performance.now() - healedAt < within(6000), `still ${error.message}`)
      }
    }
    t.diagnostic(`recovered after ${(performance.now() - healedAt).toFixed()} ms`)
  })
})
