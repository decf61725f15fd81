import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'
import { get, key } from '../../src/index.js'
import { linearizableRequest } from '../../src/kv/txn.js'
import { useClient, useCluster } from '../support/cluster.js'

describe('A transaction of conditions alone', () => {
  const cluster = useCluster()
  const etcd = useClient(cluster)

  after(async () => {
    await cluster?.stop()
  })

  test('is sent with a linearizable read, so that no member evaluates it on its local state', () => {
    const compare = [{ key: Buffer.from('a'), rangeEnd: Buffer.from('b'), version: 1 }]
    const requestRange = { key: Buffer.from('a'), rangeEnd: Buffer.from('b'), limit: 1, keysOnly: true }
    assert.deepEqual(linearizableRequest({ compare }), { compare, failure: [{ requestRange }] })
    const reads = { compare, success: [get('a').request] }
    assert.equal(linearizableRequest(reads), reads)
    assert.deepEqual(linearizableRequest({ compare: [] }), { compare: [] })
  })

  test('has no results in either branch', async () => {
    await etcd.put('there', 'value')
    const outcomes = await Promise.all(['there', 'missing'].map((name) => etcd.txn().if(key(name).exists()).commit()))
    assert.deepEqual(
      outcomes.map(({ succeeded, responses }) => [succeeded, responses]),
      [
        [true, []],
        [false, []],
      ],
    )
  })
})
