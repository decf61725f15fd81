import assert from 'node:assert/strict'
import { once } from 'node:events'
import { describe, test } from 'node:test'
import {
  type Etcd,
  isEtcdError,
  type LockHandle,
  LockLostError,
  LockTimeoutError,
  LockUnavailableError,
} from '../../src/index.js'
import { poll } from '../../src/testing/index.js'
import { startCluster, useClient, useCluster } from '../support/cluster.js'
import { loseAnswerTo, proxyAt, storedKeys } from '../support/cluster-view.js'
import { attemptRecords, createClient, uniquePrefix } from '../support/fixtures.js'

describe('A read/write lock', () => {
  const cluster = useCluster({ members: 3 })
  const etcd = useClient(cluster)
  const other = useClient(cluster)

  const someName = () => `${uniquePrefix()}rw`
  const keysOf = async (name: string) => (await storedKeys(cluster, `${name}/`)).map(({ key }) => key)
  const untilKeys = (name: string, count: number) =>
    poll(`${count} keys`, async () => (await keysOf(name)).length === count || undefined)
  const leaseOf = async (grant: LockHandle) => (await etcd.get(grant.keyText))?.lease ?? ''

  test('is held by many readers or one writer, in the order of their requests', async () => {
    const name = someName()
    const [lock, theirs] = [etcd.rwLock(name), other.rwLock(name)]
    const readers = [await lock.read(), await theirs.read(), await lock.read()]
    const order: string[] = []
    const took = (what: string) => (grant: LockHandle) => {
      order.push(what)
      return grant
    }
    const writer = theirs.write().then(took('writer'))
    await untilKeys(name, 4)
    const late = [lock.read().then(took('reader'))]
    await untilKeys(name, 5)
    late.push(theirs.read().then(took('reader')))
    await untilKeys(name, 6)
    await readers[0]?.release()
    await readers[2]?.release()
    assert.deepEqual(order, [])
    await readers[1]?.release()
    const written = await writer
    assert.deepEqual(order, ['writer'])
    assert.ok(readers.every(({ fence }) => fence < written.fence))
    await written.release()
    const [first, second] = await Promise.all(late)
    assert.ok(first !== undefined && second !== undefined)
    assert.ok(first.fence > written.fence && second.fence > written.fence)
    assert.ok(first.isHeld() && second.isHeld())
    await Promise.all([first.release(), second.release()])
    assert.deepEqual(await keysOf(name), [])
  })

  test('uses unguessable keys in the form of clientv3, and waits for those of other clients', async () => {
    const name = someName()
    const lease = await other.lease.grant(60)
    const theirs = (key: string) => other.put(`${name}/${key}`, '', { lease: lease.id })
    const reader = await etcd.rwLock(name).read({ value: 'me' })
    assert.match(reader.keyText, new RegExp(`^${name}/read/\\d{19}-[0-9a-f]{32}$`))
    assert.equal((await etcd.get(reader.keyText))?.valueText, 'me')
    await theirs('write/1700000000000000000')
    const second = etcd.rwLock(name).read()
    await untilKeys(name, 3)
    await theirs('read/1700000000000000001')
    await reader.release()
    const writer = etcd.rwLock(name).write()
    await untilKeys(name, 4)
    await other.delete(`${name}/write/1700000000000000000`)
    await (await second).release()
    await lease.revoke()
    const granted = await writer
    assert.match(granted.keyText, new RegExp(`^${name}/write/\\d{19}-[0-9a-f]{32}$`))
    await granted.release()
  })

  test('never has a writer beside another holder, over many processes', async (t) => {
    const name = someName()
    const clients = [etcd, other, createClient(t, cluster)]
    const fences: number[] = []
    let [readers, writers, maxReaders] = [0, 0, 0]
    const work = async (client: Etcd, index: number) => {
      for (let round = 0; round < 6; round += 1) {
        const writes = (index + round) % 3 === 0
        const lock = client.rwLock(name)
        await using grant = writes ? await lock.write() : await lock.read()
        if (writes) writers += 1
        else readers += 1
        maxReaders = Math.max(maxReaders, readers)
        assert.ok(writers === 0 || (writers === 1 && readers === 0), `${writers} writers, ${readers} readers`)
        if (writes) fences.push(grant.fence)
        await new Promise((resolve) => setTimeout(resolve, 2))
        assert.ok(grant.isHeld())
        if (writes) writers -= 1
        else readers -= 1
      }
    }
    await Promise.all(clients.flatMap((client, index) => [0, 1, 2, 3].map((each) => work(client, index * 4 + each))))
    assert.ok(maxReaders > 1)
    assert.deepEqual(
      fences,
      [...new Set(fences)].sort((a, b) => a - b),
    )
    assert.deepEqual(await keysOf(name), [])
  })

  test('wakes waiters without a read', async (t) => {
    const name = someName()
    const held = await other.rwLock(name).write()
    const waiting = Array.from({ length: 10 }, () => etcd.rwLock(name).read())
    await untilKeys(name, 11)
    const records = attemptRecords(t)
    await held.release()
    const readers = await Promise.all(waiting)
    assert.deepEqual(
      records.map(({ method }) => method),
      ['KV.Txn'],
    )
    await Promise.all(readers.map((reader) => reader.release()))
    assert.ok((await etcd.lease.list()).length <= 2)
  })

  test('that is not granted in time, or whose request is aborted, leaves nothing', async () => {
    const name = someName()
    const writer = await etcd.rwLock(name).write()
    await assert.rejects(other.rwLock(name).read({ timeoutMs: 200 }), LockTimeoutError)
    const abort = new AbortController()
    const waiting = other.rwLock(name).write({ signal: abort.signal })
    await poll(
      'it waits',
      async () => (await keysOf(name)).some((key) => /write/.test(key) && key !== writer.keyText) || undefined,
    )
    abort.abort(new Error('no longer'))
    await assert.rejects(waiting, /no longer/)
    await poll('only the holder is left', async () => (await keysOf(name)).join() === writer.keyText || undefined)
    await writer.release()
  })

  test("is refused to those that only try, with the holder's name", async () => {
    const name = someName()
    const lock = etcd.rwLock(name)
    const reader = await lock.tryRead({ value: 'host 7' })
    const second = await other.rwLock(name).tryRead()
    await assert.rejects(other.rwLock(name).tryWrite(), (error) => {
      assert.ok(error instanceof LockUnavailableError)
      assert.deepEqual([error.holder?.keyText, error.holder?.valueText], [reader.keyText, 'host 7'])
      return true
    })
    await second.release()
    await reader.release()
    const writer = await other.rwLock(name).tryWrite()
    await assert.rejects(lock.tryRead(), LockUnavailableError)
    await writer.release()
    assert.deepEqual(await keysOf(name), [])
  })

  test('that is lost aborts its signal, fails its guard and admits the next holder', async () => {
    const name = someName()
    const writer = await etcd.rwLock(name).write({ ttlSeconds: 2 })
    const next = other.rwLock(name).read()
    await untilKeys(name, 2)
    const guarded = etcd.txn().if(writer.guard())
    assert.ok((await guarded.commit()).succeeded)
    await other.lease.revoke(await leaseOf(writer))
    if (!writer.signal.aborted) await once(writer.signal, 'abort')
    assert.ok(writer.signal.reason instanceof LockLostError && isEtcdError(writer.signal.reason, 'LOCK_LOST'))
    assert.ok(!writer.isHeld() && writer.remainingMs === 0)
    const reader = await next
    assert.ok(reader.fence > writer.fence)
    assert.equal((await guarded.commit()).succeeded, false)
    await writer.release()
    assert.ok(reader.isHeld())
    await reader.release()
  })

  test('whose key is deleted by somebody is lost as soon as it is held', async () => {
    const name = someName()
    const writer = await etcd.rwLock(name).write({ ttlSeconds: 60 })
    await other.delete(writer.keyText)
    if (!writer.signal.aborted) await once(writer.signal, 'abort')
    assert.match(writer.signal.reason.message, /was lost: its key was deleted/)
    assert.ok(!writer.isHeld())
    await (await other.rwLock(name).tryWrite()).release()
    await writer.release()
  })

  test('queues again when its lease expires while it waits', async () => {
    const name = someName()
    const writer = await etcd.rwLock(name).write()
    const waiting = other.rwLock(name).write({ ttlSeconds: 2 })
    await untilKeys(name, 2)
    const [first] = (await etcd.range({ prefix: `${name}/` })).kvs.filter((kv) => kv.keyText !== writer.keyText)
    await etcd.lease.revoke(first?.lease ?? '')
    await poll('it queues again', async () => {
      const keys = await keysOf(name)
      return (keys.length === 2 && !keys.includes(first?.keyText ?? '')) || undefined
    })
    await writer.release()
    const granted = await waiting
    assert.ok(granted.isHeld())
    await granted.release()
  })

  test('whose grant was lost in transit is found again, not acquired twice', async (t) => {
    const single = await startCluster(t, { proxy: true })
    const client = createClient(t, single)
    await (await client.rwLock('warm up').read()).release()
    const cuts = loseAnswerTo(proxyAt(single, 0), 'lost/')
    const grant = await client.rwLock('lost').write()
    assert.equal(cuts(), 1)
    assert.ok(grant.isHeld())
    assert.equal((await storedKeys(single, 'lost/')).length, 1)
    const lease = (await client.get(grant.keyText))?.lease
    await grant.release()
    assert.equal((await storedKeys(single, 'lost/')).length, 0)
    // A key that is created late after all must not stay for as long as others have a part in its lease.
    await using session = await client.lease.shared(10)
    assert.notEqual(session.id, lease)
  })

  test('rejects wrong arguments by name', async () => {
    assert.throws(() => etcd.rwLock(''), /`name` must be a non-empty string/)
    await assert.rejects(etcd.rwLock('a').read({ ttlSeconds: 0 }), /`ttlSeconds` must be/)
    // @ts-expect-error: a wrong name
    await assert.rejects(etcd.rwLock('a').write({ ttl: 5 }), /unknown option `ttl` of write\(\)/)
  })
})
