import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import {
  ClientClosedError,
  EtcdLeaseInvalidError,
  EtcdLockFailedError,
  GRPCOutOfRangeError,
  GRPCUnavailableError,
  type IKeyValue,
  isRecoverableError,
  LeaseState,
  NotCampaigningError,
} from '../../src/etcd3/index.js'
import type { Etcd } from '../../src/index.js'
import { poll } from '../../src/testing/index.js'
import { useCluster, useProxy } from '../support/cluster.js'
import { uniquePrefix } from '../support/fixtures.js'
import { createEtcd3, nextEvent } from './client.js'

describe('etcdkit/etcd3: leases, watches, locks and elections', () => {
  const cluster = useCluster({ proxy: true })
  const proxy = useProxy(cluster)

  test('a lease keeps keys, is renewed with events, and ends with `revoke()`', async (t) => {
    const client = createEtcd3(t, cluster)
    const lease = client.lease(2)
    assert.equal(lease.state, LeaseState.Pending)
    await nextEvent(lease, 'keepaliveEstablished')
    await lease.put('leased').value('1')
    const id = await lease.grant()
    assert.equal((await client.get('leased').exec()).kvs[0]?.lease, id)
    const renewed = (await nextEvent(lease, 'keepaliveSucceeded')) as { ID: string; TTL: string }
    assert.deepEqual([renewed.ID, renewed.TTL], [id, '2'])
    await lease.revoke()
    assert.deepEqual([lease.revoked(), await client.get('leased')], [true, null])
  })

  test('a lease that is revoked elsewhere is lost, with the same error for all callers', async (t) => {
    const client = createEtcd3(t, cluster)
    const lease = client.lease(60)
    const lost = nextEvent(lease, 'lost')
    await client.leaseClient.leaseRevoke({ ID: await lease.grant() })
    const error = await lease.keepaliveOnce().catch((reason: Error) => reason)
    assert.ok(error instanceof EtcdLeaseInvalidError)
    assert.match(error.message, /^Lease \d+ is expired or revoked$/)
    assert.equal(await lost, error)
    await assert.rejects(lease.put('a').value('b').exec(), EtcdLeaseInvalidError)
    assert.throws(() => client.lease(0), /must be at least 1 second/)
  })

  test('a lease is lost no later than its time is over, and keeps nothing that a call was bounded by', async (t) => {
    const client = createEtcd3(t, cluster)
    const lease = client.lease(2, { deadline: Date.now() + 10_000 })
    await lease.grant()
    const failed = nextEvent(lease, 'keepaliveFailed')
    const began = performance.now()
    proxy.cut()
    proxy.refuse()
    const error = (await nextEvent(lease, 'lost')) as Error
    assert.ok(performance.now() - began < 2500, 'reported after the lease was over')
    assert.match(error.message, /our lease has expired/)
    await failed
  })

  test('a watch gives each event once and in order over lost connections, and reports these', async (t) => {
    const client = createEtcd3(t, cluster)
    const direct = createEtcd3(t, cluster, { hosts: cluster.members.map(({ clientUrl }) => clientUrl) })
    const keys = client.namespace(uniquePrefix())
    const writer = direct.namespace(keys.prefix)
    const watcher = await keys.watch().prefix('').create()
    const seen: string[] = []
    watcher.on('put', ({ key, value }) => seen.push(`${key}=${value}`))
    watcher.on('delete', ({ key }) => seen.push(`${key}-`))
    await writer.put('a').value('1')
    const disconnected = nextEvent(watcher, 'disconnected')
    const connected = nextEvent(watcher, 'connected')
    proxy.refuse()
    proxy.cut()
    await disconnected
    assert.equal(watcher.id, null)
    await writer.put('a').value('2')
    await writer.delete().key('a')
    proxy.heal()
    await connected
    await writer.put('b').value('3')
    await poll('all events are there', () => seen.length >= 4 || undefined)
    assert.deepEqual(seen, ['a=1', 'a=2', 'a-', 'b=3'])
    const { header } = await keys.get('b').exec()
    assert.equal(watcher.lastRevision(), Number(header.revision))
    await watcher.cancel()
  })

  test('a watch begins at a revision, filters, and comes with previous values', async (t) => {
    const keys = createEtcd3(t, cluster).namespace(uniquePrefix())
    const { header } = await keys.put('a').value('1')
    await keys.put('a').value('2')
    await keys.delete().key('a')
    const watcher = keys.watch().key('a').startRevision(header.revision).only('put').withPreviousKV().watcher()
    const puts: (string | undefined)[] = []
    await new Promise<void>((resolve) => {
      watcher.on('put', (kv: IKeyValue, previous?: IKeyValue) => {
        puts.push(`${previous?.value ?? ''}>${kv.value}`)
        if (puts.length === 2) resolve()
      })
    })
    assert.deepEqual(puts, ['>1', '1>2'])
    await watcher.cancel()
  })

  test('a listener that throws keeps no event from the others', async (t) => {
    const keys = createEtcd3(t, cluster).namespace(uniquePrefix())
    const watcher = await keys.watch().prefix('').create()
    const uncaught: string[] = []
    process.setUncaughtExceptionCaptureCallback((error) => uncaught.push(error.message))
    t.after(() => process.setUncaughtExceptionCaptureCallback(null))
    const seen: string[] = []
    watcher.on('put', ({ key }) => {
      seen.push(key.toString())
      if (seen.length === 1) throw new Error('of the listener')
    })
    await keys.if('x', 'Create', '==', 0).then(keys.put('a').value(''), keys.put('b').value('')).commit()
    await poll('both events are there', () => seen.length === 2 || undefined)
    await poll('the error is reported', () => uncaught.length === 1 || undefined)
    assert.deepEqual([seen, uncaught], [['a', 'b'], ['of the listener']])
    await watcher.cancel()
  })

  test('a watch of a compacted revision emits an error, and `create()` rejects in time where no member answers', async (t) => {
    const client = createEtcd3(t, cluster)
    const { header } = await client.put('compacted').value('')
    await client.put('compacted').value('')
    await client.kv.compact({ revision: header.revision, physical: true })
    const watcher = client.watch().key('compacted').startRevision('1').watcher()
    assert.ok((await nextEvent(watcher, 'error')) instanceof GRPCOutOfRangeError)
    const defaultCallOptions = (): { deadline: number } => ({ deadline: Date.now() + 200 })
    const nowhere = createEtcd3(t, cluster, { hosts: '127.0.0.1:1', defaultCallOptions })
    await assert.rejects(nowhere.watch().key('a').create())
  })

  test('`close()` ends watches, and a lock that is held fails at once', async (t) => {
    const client = createEtcd3(t, cluster)
    const watcher = await client.watch().key('a').create()
    const ended = nextEvent(watcher, 'end')
    const name = uniquePrefix()
    const lock = await client.lock(name).ttl(5).acquire()
    assert.equal((await client.get(name).exec()).kvs[0]?.lease, await lock.leaseId())
    const refused = client.lock(name)
    await assert.rejects(refused.acquire(), EtcdLockFailedError)
    const { TTL } = await client.leaseClient.leaseTimeToLive({ ID: (await refused.leaseId()) ?? '' })
    assert.equal(TTL, '-1', 'the lease of the refused lock is revoked')
    assert.throws(() => lock.ttl(1), /Cannot set a lock TTL/)
    await lock.release()
    assert.equal(await client.lock(name).do(async () => 'done'), 'done')
    await client.close()
    await ended
  })

  test('a lock whose `acquire()` fails without an answer leaves no key behind', async (t) => {
    let calls = 0
    const global = {
      execute: <T>(call: () => Promise<T>) => {
        calls += 1
        // The first call grants the lease.
        if (calls === 2) proxy.blackhole('down', { bytes: 'lost' })
        return call()
      },
    }
    const key = uniquePrefix()
    const client = createEtcd3(t, cluster, { faultHandling: { global } })
    const direct = createEtcd3(t, cluster, { hosts: cluster.members.map(({ clientUrl }) => clientUrl) })
    const rejected = assert.rejects(client.lock(key).ttl(60).acquire(), GRPCUnavailableError)
    await poll('the key is there', async () => (await direct.get(key).exists()) || undefined)
    proxy.heal()
    await rejected
    await poll('the key is deleted', async () => !(await direct.get(key).exists()) || undefined)
  })

  test('a candidate that waits, and a request for an observer, end with their client', async (t) => {
    const client = createEtcd3(t, cluster)
    const election = client.election(uniquePrefix())
    await election.campaign('one').wait()
    const second = election.campaign('two')
    await nextEvent(second, '_isWaiting')
    await client.close()
    await assert.rejects(election.observe(), ClientClosedError)
    // Its error would be an unhandled one by now.
    await new Promise((resolve) => setImmediate(resolve))
    await assert.rejects(second.wait(), ClientClosedError)
    await assert.rejects(election.campaign('three').wait(), ClientClosedError)
  })

  test('a lease that is lost, or whose client is closed, before the policy passes it on is not kept', async (t) => {
    let passOn = (): void => {}
    const passed = new Promise<void>((resolve) => {
      passOn = resolve
    })
    const global = { execute: <T>(call: () => Promise<T>) => call().finally(() => passed) }
    const client = createEtcd3(t, cluster, { faultHandling: { global } })
    const { engine } = (client as unknown as { readonly pool: { engine: Etcd } }).pool
    const lease = client.lease(60)
    await poll('it is granted', () => engine.stats().leases === 1 || undefined)
    await client.close()
    passOn()
    await lease.grant()
    assert.equal(lease.state, LeaseState.Revoked)
  })

  test('a lock that is held is still released after another `acquire()` was refused', async (t) => {
    const client = createEtcd3(t, cluster)
    const lock = await client.lock(uniquePrefix()).acquire()
    const id = await lock.leaseId()
    await assert.rejects(lock.acquire(), EtcdLockFailedError)
    assert.equal(await lock.leaseId(), id)
    await lock.release()
    assert.equal((await client.leaseClient.leaseTimeToLive({ ID: String(id) })).TTL, '-1')
  })

  test('a lock whose `acquire()` is aborted leaves no key behind', async (t) => {
    const abort = new AbortController()
    let calls = 0
    const execute = async <T>(call: () => Promise<T>): Promise<T> => {
      const answer = await call()
      calls += 1
      // The first call grants the lease.
      if (calls === 2) abort.abort(new Error('of the caller'))
      if (calls === 2) throw abort.signal.reason
      return answer
    }
    const client = createEtcd3(t, cluster, { faultHandling: { global: { execute } } })
    const name = uniquePrefix()
    await assert.rejects(client.lock(name).options({ signal: abort.signal }).acquire(), /of the caller/)
    await poll('the key is deleted', async () => !(await client.get(name).exists()) || undefined)
  })

  test('a stream is not open if its signal was aborted before', async (t) => {
    const client = createEtcd3(t, cluster)
    const stream = await client.watchClient.watch({ signal: AbortSignal.abort() })
    assert.equal((stream as unknown as { writable: boolean }).writable, false)
  })

  test('`do()` rejects when the lock was lost while the function ran, and aborts the signal of the function', async (t) => {
    const client = createEtcd3(t, cluster)
    const lock = client.lock(uniquePrefix()).ttl(2)
    const done = lock.do(async (signal) => {
      await client.leaseClient.leaseRevoke({ ID: String(await lock.leaseId()) })
      if (!signal.aborted)
        await nextEvent({ once: (name, listener) => signal.addEventListener(name, listener) }, 'abort')
    })
    await assert.rejects(done, EtcdLeaseInvalidError)
    assert.equal(await lock.do((signal) => signal.aborted), false, 'it can be held again')
  })

  test('a write whose answer is lost is applied once, and its error is not recoverable', async (t) => {
    const global = {
      execute: <T>(call: () => Promise<T>) =>
        call().catch((reason: Error) => (isRecoverableError(reason) ? call() : Promise.reject(reason))),
    }
    const client = createEtcd3(t, cluster, { faultHandling: { global } })
    const direct = createEtcd3(t, cluster, { hosts: cluster.members.map(({ clientUrl }) => clientUrl) })
    const key = uniquePrefix()
    await client.get(key)
    const cut = proxy.cutAfter({ direction: 'down', bytes: 0 })
    const error = await client
      .put(key)
      .value('1')
      .exec()
      .catch((reason: Error) => reason)
    await cut
    assert.ok(error instanceof GRPCUnavailableError)
    assert.equal(isRecoverableError(error), false)
    assert.equal((await direct.get(key).exec()).kvs[0]?.version, '1')
  })

  test('an observer of an election reports a leader that resigns at once', async (t) => {
    const name = uniquePrefix()
    const client = createEtcd3(t, cluster)
    const observer = await client.election(name).observe()
    const leaders: (string | undefined)[] = []
    observer.on('change', (leader) => leaders.push(leader))
    const direct = createEtcd3(t, cluster, { hosts: cluster.members.map(({ clientUrl }) => clientUrl) })
    const key = `election/${name}/1`
    proxy.blackhole('down')
    await direct.put(key).value('short')
    await direct.delete().key(key)
    proxy.heal()
    await poll('both changes are there', () => leaders.length === 2 || undefined)
    assert.deepEqual(leaders, ['short', undefined])
    await observer.cancel()
  })

  test('an election has one leader after another, and none without a lease', async (t) => {
    const name = uniquePrefix()
    const client = createEtcd3(t, cluster)
    const first = await client.election(name, 5).campaign('one').wait()
    const observer = await client.election(name).observe()
    assert.equal(observer.leader(), 'one')
    const second = client.election(name, 5).campaign('two')
    const third = client.election(name, 5).campaign('three')
    const elected: string[] = []
    for (const [who, campaign] of Object.entries({ second, third })) campaign.on('elected', () => elected.push(who))
    await Promise.all([second.getCampaignKey(), third.getCampaignKey()])
    await poll('all of them have a key', async () => {
      return (await client.getAll().prefix(`election/${name}/`).count()) === 3 || undefined
    })
    await first.proclaim('uno')
    await poll('the observer has seen it', () => observer.leader() === 'uno' || undefined)
    const failed = nextEvent(second, 'error')
    const key = await second.getCampaignKey()
    await client.leaseClient.leaseRevoke({ ID: key.slice(key.lastIndexOf('/') + 1) })
    await first.resign()
    await Promise.all([failed, third.wait()])
    assert.deepEqual(elected, ['third'])
    assert.equal(await client.election(name).leader(), 'three')
    await assert.rejects(first.proclaim('again'), NotCampaigningError)
    await Promise.all([observer.cancel(), third.resign()])
  })
})
