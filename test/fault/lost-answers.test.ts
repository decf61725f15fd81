import assert from 'node:assert/strict'
import { beforeEach, describe, test } from 'node:test'
import { get, isEtcdError, key, put } from '../../src/index.js'
import { poll } from '../../src/testing/index.js'
import { useClient, useCluster, useProxy } from '../support/cluster.js'
import { memberAt, received, storedKey } from '../support/cluster-view.js'

describe('A connection that loses messages and then breaks', () => {
  const cluster = useCluster({ proxy: true })
  const proxy = useProxy(cluster)
  const etcd = useClient(cluster)

  beforeEach(async () => {
    await etcd.get('warm up')
  })

  function receivedBy(method: string): Promise<number> {
    return received(memberAt(cluster, 0), method)
  }

  /** Makes a call, loses its answer when the member has finished it, and breaks the connection. */
  async function loseAnswer<Result>(method: string, call: () => Promise<Result>): Promise<Result> {
    const finished = () => memberAt(cluster, 0).metric('grpc_server_handled_total', { grpc_method: method })
    const before = await finished()
    proxy.onData((_, { direction }) => (direction === 'down' ? 'drop' : undefined))
    const calling = call()
    // The test waits for it only after the cut.
    calling.catch(() => {})
    await poll('the member has finished the call', async () => (await finished()) > before || undefined)
    proxy.onData(undefined)
    proxy.cut()
    return calling
  }

  async function assertUnknown(call: Promise<unknown>): Promise<void> {
    await assert.rejects(call, (error) => isEtcdError(error, 'CONNECTION_LOST') && error.effect === 'unknown')
  }

  test('leaves a put with an unknown effect, sent once and applied once', async () => {
    const before = await receivedBy('Put')
    await assertUnknown(loseAnswer('Put', () => etcd.put('put', 'value')))
    await etcd.get('put')
    assert.equal((await receivedBy('Put')) - before, 1)
    assert.equal((await storedKey(cluster, 'put'))?.version, 1)
  })

  test('leaves a delete with an unknown effect, sent once', async () => {
    await etcd.put('delete', 'value')
    const before = await receivedBy('DeleteRange')
    await assertUnknown(loseAnswer('DeleteRange', () => etcd.delete('delete')))
    assert.equal(await etcd.get('delete'), undefined)
    assert.equal((await receivedBy('DeleteRange')) - before, 1)
  })

  test('leaves a transaction that writes with an unknown effect, sent once and applied once', async () => {
    const before = await receivedBy('Txn')
    const commit = () => etcd.txn().if(key('txn').missing()).then(put('txn', 'value')).else(put('txn', '')).commit()
    await assertUnknown(loseAnswer('Txn', commit))
    await etcd.get('txn')
    assert.equal((await receivedBy('Txn')) - before, 1)
    assert.equal((await storedKey(cluster, 'txn'))?.version, 1)
  })

  test('does not fail a get, which is retried', async () => {
    await etcd.put('get', 'value')
    const found = await loseAnswer('Range', () => etcd.get('get'))
    assert.equal(found?.valueText, 'value')
  })

  test('does not fail a read-only transaction, which is retried', async () => {
    await etcd.put('read', 'value')
    const before = await receivedBy('Txn')
    const { responses } = await loseAnswer('Txn', () => etcd.txn().then(get('read')).commit())
    assert.equal(responses[0]?.valueText, 'value')
    assert.equal((await receivedBy('Txn')) - before, 2)
  })

  test('leaves a put with an unknown effect when the request was lost', async () => {
    let lost = 0
    proxy.onData((_, { direction }) => {
      if (direction !== 'up') return undefined
      lost += 1
      return 'drop'
    })
    const calling = etcd.put('never', 'value')
    calling.catch(() => {})
    await poll('the request is lost', () => lost > 0 || undefined)
    proxy.onData(undefined)
    proxy.cut()
    await assertUnknown(calling)
    await etcd.get('never')
    assert.equal(await storedKey(cluster, 'never'), undefined)
  })
})
