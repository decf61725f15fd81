import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'
import { get, key, put, txn } from '../../src/index.js'
import { isReadOnly, linearizableRequest } from '../../src/kv/txn.js'
import { useClient, useCluster } from '../support/cluster.js'

test('A transaction that may write, in either branch or in a nested transaction, is not repeated as a read', () => {
  const [read, write] = [get('a').request, put('a', '1').request]
  const nested = txn().if(key('a').exists()).else(put('a', '1')).asOperation().request
  assert.ok(isReadOnly({ success: [read], failure: [read] }))
  for (const branches of [{ success: [write] }, { success: [read], failure: [write] }, { failure: [read, nested] }]) {
    assert.ok(!isReadOnly(branches))
  }
})

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
