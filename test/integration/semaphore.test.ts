import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { Etcd, isEtcdError, LockLostError, LockTimeoutError, LockUnavailableError } from '../../src/index.js'
import { poll } from '../../src/testing/index.js'
import { useClient, useCluster } from '../support/cluster.js'
import { storedKeys } from '../support/cluster-view.js'
import { uniquePrefix } from '../support/fixtures.js'

describe('A semaphore', () => {
  const cluster = useCluster({ members: 3 })
  const etcd = useClient(cluster)
  const other = useClient(cluster)

  const someName = () => `${uniquePrefix()}semaphore`
  const holdersOf = async (name: string) => (await storedKeys(cluster, `${name}~semaphore/1`)).length
  const untilHolders = (name: string, count: number) =>
    poll(`${count} keys`, async () => (await holdersOf(name)) === count || undefined)

  test('grants no more permits than it has, in the order of the requests', async () => {
    const name = someName()
    const order: number[] = []
    let [held, most] = [0, 0]
    const first = await etcd.semaphore(name, 3).acquire()
    const blockers = [first, await other.semaphore(name, 3).acquire(), await other.semaphore(name, 3).acquire()]
    const work = async (client: Etcd, index: number) => {
      await using permit = await client.semaphore(name, 3).acquire()
      order.push(index)
      held += 1
      most = Math.max(most, held)
      await new Promise((resolve) => setTimeout(resolve, 3))
      assert.ok(permit.isHeld())
      held -= 1
    }
    const working: Promise<void>[] = []
    for (let index = 0; index < 12; index += 1) {
      working.push(work(index % 2 === 0 ? etcd : other, index))
      await untilHolders(name, 4 + index)
    }
    assert.deepEqual(order, [])
    for (const permit of blockers) await permit.release()
    await Promise.all(working)
    assert.ok(most <= 3, `${most} at once`)
    // Three at a time may come in any order among themselves.
    for (const [at, index] of order.entries()) assert.ok(Math.abs(at - index) <= 2, order.join())
    assert.equal(await holdersOf(name), 0)
  })

  test('rejects a different number of permits', async () => {
    const name = someName()
    await (await etcd.semaphore(name, 3).acquire()).release()
    await assert.rejects(other.semaphore(name, 5).acquire(), (error) => {
      assert.ok(isEtcdError(error, 'PERMITS_MISMATCH'))
      assert.match(error.message, /has 3 permits, not 5: see test-\d+\/semaphore~semaphore\/~permits/)
      return true
    })
    await etcd.delete(`${name}~semaphore/~permits`)
    await (await other.semaphore(name, 5).acquire()).release()
    assert.throws(() => etcd.semaphore(name, 0), /`permits` must be a whole number of at least 1, got 0/)
  })

  test('whose permits are all taken times out, and refuses those that only try', async () => {
    const name = someName()
    const semaphore = etcd.semaphore(name, 1)
    const permit = await semaphore.tryAcquire({ value: 'host 7' })
    await assert.rejects(other.semaphore(name, 1).acquire({ timeoutMs: 200 }), LockTimeoutError)
    await assert.rejects(
      other.semaphore(name, 1).tryAcquire(),
      (error) => error instanceof LockUnavailableError && error.holder?.valueText === 'host 7',
    )
    await untilHolders(name, 1)
    await permit.release()
    await (await other.semaphore(name, 1).tryAcquire()).release()
  })

  test('grants the permit of a dead process to the next one', async () => {
    const name = someName()
    const client = new Etcd({ endpoints: cluster.endpoints })
    const lost = await client.semaphore(name, 1).acquire({ ttlSeconds: 60 })
    const next = etcd.semaphore(name, 1).acquire()
    await untilHolders(name, 2)
    await client.close()
    assert.ok(lost.signal.reason instanceof LockLostError && !lost.isHeld())
    await (await next).release()
  })
})

describe('A multi-lock', () => {
  const cluster = useCluster()
  const etcd = useClient(cluster)
  const other = useClient(cluster)

  test('acquires its locks in one global order, which prevents deadlocks', async () => {
    const at = uniquePrefix()
    const [a, b, c] = [`${at}a`, `${at}b`, `${at}c`]
    const held = new Set<string>()
    const work = async (client: Etcd, names: readonly string[]) => {
      for (let round = 0; round < 8; round += 1) {
        await using locks = await client.lockAll(names)
        assert.ok(locks.isHeld() && locks.remainingMs > 0)
        for (const name of names) assert.ok(!held.has(name))
        for (const name of names) held.add(name)
        await new Promise((resolve) => setTimeout(resolve, 2))
        for (const name of names) held.delete(name)
      }
    }
    await Promise.all([work(etcd, [a, b]), work(other, [b, a]), work(etcd, [c, b]), work(other, [b, c, a])])
    assert.deepEqual(await storedKeys(cluster, at), [])
  })

  test('acquires all locks or none', async () => {
    const at = uniquePrefix()
    const blocker = await other.lock(`${at}b`)
    await assert.rejects(etcd.lockAll([`${at}c`, `${at}b`, `${at}a`], { timeoutMs: 200 }), (error) => {
      // The limit is one for all: the first lock has taken a part of it.
      const [, waitedMs] = /not granted within (\d+) ms/.exec(String(error)) ?? []
      return error instanceof LockTimeoutError && Number(waitedMs) < 200
    })
    await poll('only the blocker is left', async () => (await storedKeys(cluster, at)).length === 1 || undefined)
    await blocker.release()
    const locks = await etcd.lockAll([`${at}c`, `${at}b`, `${at}a`, `${at}b`])
    assert.deepEqual(
      locks.locks.map(({ name }) => name),
      [`${at}a`, `${at}b`, `${at}c`],
    )
    assert.ok(locks.fence(`${at}c`) > locks.fence(`${at}a`))
    assert.throws(() => locks.fence('d'), /`name` must be one of the locks, got "d"/)
    assert.ok(
      (
        await etcd
          .txn()
          .if(...locks.guards())
          .commit()
      ).succeeded,
    )
    await locks.release()
    assert.ok(!locks.isHeld() && !locks.signal.aborted)
    assert.equal(
      (
        await etcd
          .txn()
          .if(...locks.guards())
          .commit()
      ).succeeded,
      false,
    )
  })

  test('is lost when one of its locks is, also while it waits for the others', async () => {
    const at = uniquePrefix()
    const locks = await etcd.lockAll([`${at}a`, `${at}b`])
    const waiting = assert.rejects(other.lockAll([`${at}0`, `${at}b`], { ttlSeconds: 3 }), LockLostError)
    const mine = await poll('the first is taken', async () => (await etcd.range({ prefix: `${at}0/` })).kvs[0])
    await etcd.lease.revoke(mine.lease ?? '')
    await waiting
    const lease = (await etcd.get(locks.locks[0]?.keyText ?? ''))?.lease
    await other.lease.revoke(lease ?? '')
    await poll('the signal aborts', () => locks.signal.aborted || undefined)
    assert.ok(locks.signal.reason instanceof LockLostError && !locks.isHeld())
    await locks.release()
  })

  test('requires names', async () => {
    await assert.rejects(etcd.lockAll([]), /`names` must be an array of at least one name/)
    await assert.rejects(etcd.lockAll(['']), /`name` must be a non-empty string/)
  })
})
