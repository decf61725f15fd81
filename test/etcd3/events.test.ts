import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import {
  type Etcd3,
  EtcdLeaseInvalidError,
  GRPCDeadlineExceededError,
  GRPCUnavailableError,
  type ICallable,
  NotCampaigningError,
} from '../../src/etcd3/index.js'
import { type AttemptRecord, type CallRecord, channels, type Etcd } from '../../src/index.js'
import { poll } from '../../src/testing/index.js'
import { recordsOf } from '../support/channels.js'
import { useCluster, useProxy } from '../support/cluster.js'
import { uniquePrefix } from '../support/fixtures.js'
import { createEtcd3, nextEvent } from './client.js'

/** The open watches of the engine. */
function watchesOf(client: Etcd3): ReturnType<Etcd['stats']>['watches'] {
  return (client as unknown as { readonly pool: { engine: Etcd } }).pool.engine.stats().watches
}

describe('etcdkit/etcd3: events and calls', () => {
  const cluster = useCluster({ proxy: true })
  const proxy = useProxy(cluster)

  test('a lease reports its own renewals, each as fired and then succeeded, and its stream', async (t) => {
    const client = createEtcd3(t, cluster)
    const [lease, other] = [client.lease(2), client.lease(2)]
    const [id] = await Promise.all([lease.grant(), other.grant()])
    const seen: string[] = []
    lease.on('keepaliveFired', () => seen.push('fired'))
    lease.on('keepaliveSucceeded', ({ ID }) => seen.push(ID))
    await Promise.all([lease, other].map((each) => nextEvent(each, 'keepaliveSucceeded')))
    assert.deepEqual(seen, ['fired', id])
    const [failed, established] = [nextEvent(lease, 'keepaliveFailed'), nextEvent(lease, 'keepaliveEstablished')]
    proxy.cut()
    assert.ok((await failed) instanceof GRPCUnavailableError)
    await established
    const [{ header }, status] = await Promise.all([lease.keepaliveOnce(), client.maintenance.status()])
    assert.equal(header.cluster_id, status.header.cluster_id)
  })

  test('a watch reports its request, its confirmation, each response and each event, and its end', async (t) => {
    const keys = createEtcd3(t, cluster).namespace(uniquePrefix())
    const watcher = keys.watch().prefix('').watcher()
    const seen: string[] = []
    watcher.on('connecting', ({ progress_notify }) => seen.push(`connecting ${progress_notify}`))
    watcher.on('connected', ({ created }) => seen.push(`connected ${created}`))
    watcher.on('data', ({ events }) => seen.push(`data ${events.length}`))
    watcher.on('put', ({ key }) => seen.push(`put ${key}`))
    watcher.on('end', () => seen.push('end'))
    await nextEvent(watcher, 'connected')
    await keys.put('a').value('')
    await poll('the event is there', () => seen.includes('put a') || undefined)
    await watcher.cancel()
    assert.deepEqual(seen, ['connecting true', 'connected true', 'data 1', 'put a', 'end'])
  })

  test('a builder of watches makes one after another, of all keys and operations if it is to', async (t) => {
    const client = createEtcd3(t, cluster)
    const builder = client.watch().prefix('').only('put', 'delete')
    const [all, again] = await Promise.all([builder.create(), builder.create()])
    assert.notEqual(all.request, again.request)
    const deletions = await client.watch().prefix('').ignore('delete').create()
    const seen: string[] = []
    for (const [name, watcher] of Object.entries({ all, deletions })) {
      watcher.on('put', ({ key }) => seen.push(`${name} put ${key}`))
      watcher.on('delete', ({ key }) => seen.push(`${name} delete ${key}`))
    }
    const key = uniquePrefix()
    await client.put(key).value('')
    await client.delete().key(key)
    await poll('all events are there', () => seen.length >= 3 || undefined)
    assert.deepEqual(seen.sort(), [`all delete ${key}`, `all put ${key}`, `deletions delete ${key}`])
  })

  test('`create()` rejects, without an event, when its call is aborted or its client is closed', async (t) => {
    const key = uniquePrefix()
    const signal = AbortSignal.abort(new Error('of the caller'))
    const nowhere = createEtcd3(t, cluster, { hosts: '127.0.0.1:1', defaultCallOptions: { signal } })
    const waiting = nowhere.watch().key(key).watcher()
    waiting.on('error', () => assert.fail('it waits without a bound'))
    await assert.rejects(nowhere.watch().key(key).create(), /of the caller/)
    assert.equal(watchesOf(nowhere).length, 1)
    const closing = createEtcd3(t, cluster, { hosts: '127.0.0.1:1' })
    const rejected = assert.rejects(closing.watch().key(key).create(), /cancelled before it was confirmed/)
    await closing.close()
    await rejected
  })

  test('a candidate waits for the one before it, and leaves no watch and no lease when it ends', async (t) => {
    const [client, other] = [createEtcd3(t, cluster), createEtcd3(t, cluster)]
    const name = uniquePrefix()
    const first = await client.election(name).campaign('one').wait()
    const second = other.election(name).campaign('two')
    await nextEvent(second, '_isWaiting')
    const third = client.election(name).campaign('three')
    await nextEvent(third, '_isWaiting')
    await poll('it watches', () => watchesOf(client)[0])
    assert.equal(watchesOf(client)[0]?.keyText, await second.getCampaignKey())
    await third.resign()
    await poll('it watches no longer', () => watchesOf(client).length === 0 || undefined)
    const failed = nextEvent(second, 'error')
    second.on('elected', () => assert.fail('its key is gone'))
    await client.delete().key(await second.getCampaignKey())
    await first.resign()
    assert.ok((await failed) instanceof NotCampaigningError)
    const leaseId = (await second.getCampaignKey()).slice(`election/${name}/`.length)
    const ttl = async () => (await client.leaseClient.leaseTimeToLive({ ID: leaseId })).TTL
    await poll('its lease is revoked', async () => (await ttl()) === '-1' || undefined)
    assert.deepEqual(watchesOf(other), [])
  })

  test('calls have their consistency, and a grant without an ID is not repeated', async (t) => {
    const client = createEtcd3(t, cluster)
    const calls = recordsOf<CallRecord>(t, channels.call)
    await client.get('a').serializable(true)
    await client.get('a').exec()
    await client.if('a', 'Version', '>', -1).commit()
    assert.deepEqual(
      calls.map(({ method, mode, request }) => `${method} ${mode} ${request.operations}`),
      ['KV.Range serializable 1', 'KV.Range linearizable 1', 'KV.Txn undefined 1'],
    )
    const lost = proxy.cutAfter({ direction: 'down', bytes: 0 })
    await assert.rejects(client.leaseClient.leaseGrant({ TTL: 60 }), GRPCUnavailableError)
    await lost
    assert.equal(calls.at(-1)?.attempts, 1)
    const missing = client.put('a').value('').lease('999').exec()
    await assert.rejects(missing, { name: EtcdLeaseInvalidError.name, message: 'Lease 999 is expired or revoked' })
  })

  test('a software transaction reads what it prefetches before its function runs', async (t) => {
    const client = createEtcd3(t, cluster)
    const attempts = recordsOf<AttemptRecord>(t, channels.attempt)
    let before = 0
    await client.stm({ prefetch: ['a', 'b'] }).transact(async (tx) => {
      before = attempts.length
      await tx.get('a')
      await tx.get('b')
      assert.equal(attempts.length, before)
    })
    assert.equal(before, 1)
  })

  test('a mock is used until it is taken away', async (t) => {
    const client = createEtcd3(t, cluster)
    const exec = (async () => assert.fail('it was taken away')) as ICallable<unknown>['exec']
    client.mock({ exec })
    client.unmock()
    await client.get('a')
  })

  test('a stream ends by its deadline, by its signal, or by the member, with a status', async (t) => {
    const client = createEtcd3(t, cluster)
    const late = await client.watchClient.watch({ deadline: Date.now() - 1 })
    const failed = new Promise((resolve) => late.on('error', resolve))
    const status = await new Promise<{ code: number }>((resolve) => late.on('status', resolve))
    assert.ok((await failed) instanceof GRPCDeadlineExceededError)
    assert.equal(status.code, 4)
    const abort = new AbortController()
    const aborted = await client.watchClient.watch({ signal: abort.signal })
    abort.abort()
    assert.equal((aborted as unknown as { writable: boolean }).writable, false)
    const ending = await client.leaseClient.leaseKeepAlive()
    const ended = new Promise<void>((resolve) => ending.on('end', resolve))
    const over = new Promise<{ code: number }>((resolve) => ending.on('status', resolve))
    ending.end()
    await ended
    assert.equal((await over).code, 0)
  })
})
