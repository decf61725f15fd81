import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { Etcd } from '../../src/index.js'
import { poll } from '../../src/testing/index.js'
import { startCluster } from '../support/cluster.js'
import { memberAt, received, served } from '../support/cluster-view.js'

describe('A learner among the endpoints', () => {
  test('receives no linearizable call and fails none', async (t) => {
    const cluster = await startCluster(t, { members: 3 })
    const index = await cluster.addLearner()
    const learner = memberAt(cluster, index)
    const counts = () => Promise.all(['Range', 'Put', 'Txn'].map((method) => received(learner, method)))
    const before = await counts()
    await using etcd = new Etcd({ endpoints: cluster.endpoints })
    await Promise.all(Array.from({ length: 60 }, (_, count) => etcd.put(`key/${count}`, 'value')))
    for (let count = 0; count < 60; count++) await etcd.get(`key/${count}`)
    assert.deepEqual(await counts(), before)
    assert.equal(etcd.endpoints().find(({ endpoint }) => endpoint === learner.endpoint)?.role, 'learner')

    const servedBefore = await served(learner, 'Range')
    for (let count = 0; count < 10; count++) await etcd.get('key/1', { mode: 'serializable', prefer: 'learner' })
    assert.equal((await served(learner, 'Range')) - servedBefore, 10)

    await cluster.promote(index)
    assert.equal((await etcd.get('key/1'))?.valueText, 'value')
    await poll('its promotion is noticed', async () => {
      await etcd.get('key/1')
      return etcd.endpoints().find(({ endpoint }) => endpoint === learner.endpoint)?.role === 'follower' || undefined
    })
    const promotedBefore = await served(learner, 'Range')
    for (let count = 0; count < 60; count++) await etcd.get('key/1')
    assert.ok((await served(learner, 'Range')) - promotedBefore > 5)
  })
})
