import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { Etcd, isEtcdError } from '../../src/index.js'
import { FaultProxy, poll } from '../../src/testing/index.js'
import { useCluster } from '../support/cluster.js'
import { memberAt, storedKeys } from '../support/cluster-view.js'

describe('Another cluster at the same addresses', () => {
  const old = useCluster({ members: 3 })
  const other = useCluster({ members: 3 })
  let proxies: FaultProxy[]
  let etcd: Etcd
  let changes: string[]

  beforeEach(async () => {
    proxies = await Promise.all(old.members.map(({ clientUrl }) => FaultProxy.start(clientUrl)))
    etcd = new Etcd({ endpoints: proxies.map(({ endpoint }) => endpoint), timeoutMs: 3000 })
    changes = []
    etcd.on('clusterChanged', ({ endpoint }) => changes.push(endpoint))
    await etcd.put('key', 'old')
  })
  afterEach(async () => {
    await etcd.close()
    await Promise.all(proxies.map((proxy) => proxy.close()))
  })

  /** Puts a member of the other cluster at the address of one of the old. */
  async function replace(index: number): Promise<void> {
    const proxy = proxies[index]
    assert.ok(proxy)
    await proxy.close()
    proxies[index] = await FaultProxy.start(memberAt(other, index).clientUrl, { port: proxy.port })
  }

  test('receives no calls when it has one of three endpoints', async () => {
    await replace(0)
    await poll('the member is ejected', () => etcd.endpoints()[0]?.reason === 'other cluster' || undefined)
    assert.deepEqual([...new Set(changes)], [`http://${proxies[0]?.endpoint}`])
    for (let count = 0; count < 60; count++) await etcd.put(`one/${count}`, 'value')
    assert.deepEqual(await storedKeys(other, 'one/'), [])
    assert.equal((await storedKeys(old, 'one/')).length, 60)
    assert.notEqual(etcd.endpoints()[0]?.state, 'ready')
  })

  test('is used after an event when it has most of the endpoints', async () => {
    await etcd.put('key', 'old')
    await replace(0)
    await poll('the first is noticed', () => changes.length > 0 || undefined)
    await Promise.all([replace(1), replace(2)])
    await poll('calls succeed', async () => {
      try {
        return (await etcd.get('key')) === undefined || undefined
      } catch (error) {
        assert.ok(isEtcdError(error))
        return undefined
      }
    })
    await etcd.put('after', 'value')
    assert.equal((await storedKeys(other, 'after')).length, 1)
    await poll('all members are ready', () => etcd.endpoints().every(({ state }) => state === 'ready') || undefined)
  })

  test('receives no write before it is identified when it has the only endpoint', async () => {
    const proxy = await FaultProxy.start(memberAt(old, 0).clientUrl)
    await using single = new Etcd({ endpoints: proxy.endpoint })
    let emitted = 0
    single.on('clusterChanged', () => {
      emitted += 1
    })
    await single.put('single', 'old')
    await proxy.close()
    await using _replacement = await FaultProxy.start(memberAt(other, 0).clientUrl, { port: proxy.port })
    await poll('calls succeed', async () => ((await single.get('single')) === undefined && emitted > 0) || undefined)
  })
})
