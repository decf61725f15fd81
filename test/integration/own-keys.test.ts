import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { itemName, uniqueName } from '../../src/concurrency/unique-name.js'
import { isEtcdError, type LockHandle, type LockOptions } from '../../src/index.js'
import { poll } from '../../src/testing/index.js'
import { useClient, useCluster } from '../support/cluster.js'
import { storedKeys } from '../support/cluster-view.js'
import { uniquePrefix } from '../support/fixtures.js'

describe('The queue key of a holder', () => {
  const cluster = useCluster()
  const etcd = useClient(cluster)
  const other = useClient(cluster)

  const leaseOf = ({ keyText: key }: LockHandle) => key.split('/').at(-1) ?? ''
  const isPending = async (promise: Promise<unknown>) =>
    (await Promise.race([promise.then(() => false), sleep(150).then(() => true)])) === true

  test('has a unique name, also at the same time of day', (t) => {
    t.mock.method(Date, 'now', () => 1_700_000_000_000)
    const names = Array.from({ length: 20_000 }, uniqueName)
    assert.equal(new Set(names).size, names.length)
    assert.equal(new Set(names.map((name) => name.slice(-32))).size, names.length)
    assert.match(names[0] ?? '', /^1700000000000\d{6}-[0-9a-f]{32}$/)
    assert.match(itemName(), /^1700000000000\d{6}$/)
  })

  for (const [what, take] of [
    ['lock()', (name: string) => etcd.lock(name, { timeoutMs: 20_000 })],
    ['tryLock()', (name: string) => etcd.tryLock(name)],
  ] as const) {
    test(`is not the key of ${what} when it has no lease or another lease`, async (t) => {
      const keeper = await etcd.lock(`${uniquePrefix()}keeper`)
      t.after(() => keeper.release())
      const [name, second] = [uniquePrefix().slice(0, -1), uniquePrefix().slice(0, -1)]
      const lease = await other.lease.grant(60)
      await other.put(`${name}/${leaseOf(keeper)}`, 'data')
      await other.put(`${second}/${leaseOf(keeper)}`, 'data', { lease: lease.id })
      for (const each of [name, second]) {
        const lock = await take(each)
        assert.notEqual(leaseOf(lock), leaseOf(keeper))
        assert.ok(keeper.isHeld())
        await lock.release()
        // What was not ours is still there.
        assert.equal((await storedKeys(cluster, `${each}/`)).length, 1)
      }
    })
  }

  test('is not the key of a lock when somebody else created it with the same lease', async () => {
    const keeper = await etcd.lock(`${uniquePrefix()}keeper`)
    const name = uniquePrefix().slice(0, -1)
    // As the members' lock service does for a caller that names the lease.
    const foreign = `${name}/${leaseOf(keeper)}`
    await other.put(foreign, 'theirs', { lease: leaseOf(keeper) })
    await assert.rejects(
      etcd.tryLock(name),
      (error) => isEtcdError(error, 'LOCK_UNAVAILABLE') && error.holder?.keyText === foreign,
    )
    const waiting = etcd.lock(name)
    const campaign = etcd.election(name).campaign('me')
    assert.ok((await isPending(waiting)) && (await isPending(campaign)))
    await other.delete(foreign)
    const lock = await waiting
    assert.notEqual(leaseOf(lock), leaseOf(keeper))
    await lock.release()
    await (await campaign).resign()
    await keeper.release()
    await poll('nothing is left', async () => (await storedKeys(cluster, `${name}/`)).length === 0 || undefined)
  })

  test('no longer represents its holder once somebody has overwritten it without its lease', async () => {
    const name = uniquePrefix().slice(0, -1)
    const leader = await etcd.election(name).campaign('me')
    const writer = await etcd.rwLock(name).write()
    for (const { keyText: key } of [leader, writer]) await other.put(key, 'overwritten')
    await poll('both are lost', () => (leader.signal.aborted && writer.signal.aborted) || undefined)
    assert.match(String(leader.signal.reason), /its key was deleted or overwritten/)
    assert.equal(await other.election(name).leader(), null)
    const [next, second] = await Promise.all([other.lock(name), other.rwLock(name).write()])
    assert.ok(next.fence > leader.fence && second.fence > writer.fence)
    await Promise.all([next.release(), second.release()])
    await poll('nothing is left', async () => (await storedKeys(cluster, `${name}/`)).length === 0 || undefined)

    const first = await etcd.lock(name, { value: 'first' })
    const waiting = etcd.lock(name, { value: 'second' })
    await other.put(first.keyText, 'overwritten')
    const rival = await other.tryLock(name)
    await first.release()
    assert.ok(await isPending(waiting))
    await rival.release()
    await (await waiting).release()
  })

  test('is deleted when its wait rejects', async () => {
    const name = uniquePrefix().slice(0, -1)
    const held = [
      await other.lock(name),
      await other.rwLock(name).write(),
      await other.semaphore(name, 1).acquire(),
      await other.election(`${name}/e`).campaign('other'),
    ]
    const count = () => other.count({ prefix: name })
    const before = await count()
    const waits = [
      (bounds: LockOptions) => etcd.lock(name, bounds),
      (bounds: LockOptions) => etcd.lockAll([`${name}!`, name], bounds),
      (bounds: LockOptions) => etcd.rwLock(name).read(bounds),
      (bounds: LockOptions) => etcd.rwLock(name).write(bounds),
      (bounds: LockOptions) => etcd.semaphore(name, 1).acquire(bounds),
      (bounds: LockOptions) => etcd.election(`${name}/e`).campaign('me', bounds),
    ]
    for (let round = 0; round < 8; round += 1) {
      for (const wait of waits) {
        const timeoutMs = 2 + round
        await assert.rejects(wait(round % 2 === 0 ? { timeoutMs } : { signal: AbortSignal.timeout(timeoutMs) }))
        // One call, as the next waiter makes it.
        assert.equal(await count(), before, `round ${round}, ${wait}`)
      }
    }
    await Promise.all(held.map((one) => ('resign' in one ? one.resign() : one.release())))
  })

  test('is counted once by a priority queue reached through two namespaces', async () => {
    const at = uniquePrefix()
    const queues = [
      etcd.priorityQueue(`${at}mails`),
      other.namespace(at).priorityQueue('mails'),
      etcd
        .namespace(at.slice(0, 3))
        .batcher()
        .priorityQueue(`${at.slice(3)}mails`),
    ]
    const values = Array.from({ length: 60 }, (_, index) => String(index))
    await Promise.all(values.map((value, index) => queues[index % queues.length]?.enqueue(value, 5)))
    const taken: string[] = []
    for (let count = 0; count < values.length; count += 1) {
      taken.push((await etcd.priorityQueue(`${at}mails`).dequeue({ timeoutMs: 5000 })).valueText)
    }
    assert.deepEqual(
      taken.map(Number).sort((a, b) => a - b),
      values.map(Number),
    )
  })
})
