import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { type BarrierEntry, type CallOptions, Etcd, isEtcdError, LockLostError } from '../../src/index.js'
import { poll } from '../../src/testing/index.js'
import { useClient, useCluster } from '../support/cluster.js'
import { storedKeys } from '../support/cluster-view.js'
import { uniquePrefix } from '../support/fixtures.js'

describe('Barriers', () => {
  const cluster = useCluster({ members: 3 })
  const etcd = useClient(cluster)
  const other = useClient(cluster)

  const someName = () => `${uniquePrefix()}barrier`
  const untilKeys = (name: string, count: number) =>
    poll(`${count} keys`, async () => (await storedKeys(cluster, name)).length === count || undefined)
  const watchers = () => cluster.metric('etcd_debugging_mvcc_watcher_total')

  test('a barrier releases all waiters, and nobody waits at one that is not held', async () => {
    const name = someName()
    const barrier = etcd.barrier(name)
    await barrier.wait()
    await barrier.hold()
    await other.barrier(name).hold()
    assert.deepEqual(
      (await storedKeys(cluster, name)).map(({ key, version }) => [key, version]),
      [[name, 1]],
    )
    let passed = 0
    const waiting = [etcd, etcd, other].map((client) =>
      client
        .barrier(name)
        .wait()
        .then(() => (passed += 1)),
    )
    await poll('all wait', async () => (await watchers()) >= 2 || undefined)
    await assert.rejects(barrier.wait({ timeoutMs: 50 }), (error) => isEtcdError(error, 'DEADLINE_EXCEEDED'))
    await assert.rejects(barrier.wait({ signal: AbortSignal.timeout(50) }), { name: 'TimeoutError' })
    assert.equal(passed, 0)
    await other.barrier(name).release()
    await Promise.all(waiting)
    await barrier.release()
    await poll('nobody watches', async () => (await watchers()) === 0 || undefined)
  })

  test('a barrier falls when its lease expires', async () => {
    const name = someName()
    const lease = await etcd.lease.grant(60)
    await etcd.barrier(name).hold({ lease: lease.id })
    const waiting = other.barrier(name).wait()
    await lease.revoke()
    await waiting
    await assert.rejects(etcd.barrier(name).hold({ lease: 'none' }), /`lease` must be 1 to 16 hexadecimal digits/)
  })

  test('a double barrier lets all participants enter together and leave together, also a second time', async () => {
    const name = someName()
    for (const _ of ['first', 'second']) {
      const log: string[] = []
      const work = async (client: Etcd) => {
        const entry = await client.doubleBarrier(name, 3).enter()
        log.push('entered')
        await entry.leave()
        log.push('left')
      }
      const working = [work(etcd)]
      await untilKeys(`${name}/waiters/`, 1)
      working.push(work(other))
      await untilKeys(`${name}/waiters/`, 2)
      assert.deepEqual(log, [])
      working.push(work(etcd))
      await Promise.all(working)
      assert.deepEqual(log, ['entered', 'entered', 'entered', 'left', 'left', 'left'])
      assert.deepEqual(await storedKeys(cluster, name), [])
    }
  })

  test('a double barrier uses the keys of clientv3 and rejects one participant too many', async () => {
    const name = someName()
    const barrier = etcd.doubleBarrier(name, 2)
    const entering = Promise.all([barrier.enter(), other.doubleBarrier(name, 2).enter()])
    const [first, second] = await entering
    const unique = /\d{19}-[0-9a-f]{32}$/
    const keys = (await storedKeys(cluster, name)).map(({ key }) => key.slice(name.length).replace(unique, '#'))
    assert.deepEqual(keys, ['/waiters/#', '/waiters/#', '/~ready'])
    await assert.rejects(barrier.enter(), (error) => isEtcdError(error, 'BARRIER_FULL'))
    await untilKeys(`${name}/waiters/`, 2)
    await Promise.all([first.leave(), second.leave()])
  })

  test('a double barrier interoperates with a Go client, entering and leaving', async () => {
    const name = someName()
    const lease = await other.lease.grant(60)
    /** As Go's recipe does: the key first, and for the last who comes the sign that all have come. */
    const come = (number: number) => other.put(`${name}/waiters/170000000000000000${number}`, '', { lease: lease.id })
    const go = (number: number) => other.delete(`${name}/waiters/170000000000000000${number}`)
    await come(1)
    const first = await etcd.doubleBarrier(name, 2).enter()
    assert.ok(await etcd.exists(`${name}/ready`))
    const leaving = first.leave()
    // The oldest closes it.
    await other.delete(`${name}/ready`)
    await go(1)
    await leaving

    const entering = etcd.doubleBarrier(name, 3).enter()
    await untilKeys(`${name}/waiters/`, 1)
    const third = etcd.doubleBarrier(name, 3).enter()
    await untilKeys(`${name}/waiters/`, 2)
    await come(2)
    await other.put(`${name}/ready`, '')
    const entries = await Promise.all([entering, third])
    await go(2)
    // Who comes now is the first of the next time, although nobody is left who shows that Go has opened it.
    const early = etcd.doubleBarrier(name, 3).enter()
    await untilKeys(`${name}/waiters/`, 3)
    await Promise.all(entries.map((entry) => entry.leave()))
    const later = [etcd.doubleBarrier(name, 3).enter(), etcd.doubleBarrier(name, 3).enter()]
    const next = await Promise.all([early, ...later])
    await Promise.all(next.map((entry) => entry.leave()))
    await lease.revoke()
    assert.deepEqual(await storedKeys(cluster, name), [])
  })

  test('a double barrier is independent of a barrier named like it with "ready" appended', async () => {
    const name = someName()
    const ready = other.barrier(`${name}/ready`)
    const entering = etcd.doubleBarrier(name, 2).enter()
    await untilKeys(`${name}/waiters/`, 1)
    await ready.hold()
    const second = other.doubleBarrier(name, 2).enter()
    const entries = await Promise.all([entering, second])
    await assert.rejects(ready.wait({ timeoutMs: 50 }), (error) => isEtcdError(error, 'DEADLINE_EXCEEDED'))
    await Promise.all(entries.map((entry) => entry.leave()))
    assert.deepEqual(
      (await storedKeys(cluster, name)).map(({ key }) => key),
      [ready.name],
    )
    await ready.release()
  })

  test('a double barrier does not count a participant that gives up before it opens', async () => {
    const name = someName()
    const barrier = etcd.doubleBarrier(name, 2)
    await assert.rejects(barrier.enter({ timeoutMs: 100 }), (error) => isEtcdError(error, 'DEADLINE_EXCEEDED'))
    assert.deepEqual(await storedKeys(cluster, name), [])
    const abort = new AbortController()
    const waiting = barrier.enter({ signal: abort.signal })
    await untilKeys(name, 1)
    abort.abort(new Error('no longer'))
    await assert.rejects(waiting, /no longer/)
    assert.deepEqual(await storedKeys(cluster, name), [])
    const lost = assert.rejects(barrier.enter(), LockLostError)
    await untilKeys(name, 1)
    const { kvs } = await etcd.range({ prefix: name })
    await other.lease.revoke(kvs[0]?.lease ?? '')
    await lost
  })

  test('a double barrier is left by a participant whose leave() rejects, also by the first that came', async () => {
    const name = someName()
    const entering = etcd.doubleBarrier(name, 2, { ttlSeconds: 60 }).enter()
    await untilKeys(`${name}/waiters/`, 1)
    const [first, second] = await Promise.all([entering, other.doubleBarrier(name, 2).enter()])
    const failure: unknown = await first.leave({ timeoutMs: 50 }).catch((error) => error)
    assert.ok(isEtcdError(failure, 'DEADLINE_EXCEEDED'))
    await untilKeys(`${name}/waiters/`, 1)
    // It is the outcome of every call.
    assert.equal(await first.leave({ timeoutMs: 1000 }).catch((error) => error), failure)
    await second.leave({ timeoutMs: 10_000 })
  })

  test('a double barrier lets nobody enter alone, also beside and after one that gives up', async () => {
    const entered = (client: Etcd, name: string, options: CallOptions) =>
      client
        .doubleBarrier(name, 2)
        .enter(options)
        .then(
          () => true,
          (error) =>
            isEtcdError(error, 'DEADLINE_EXCEEDED') || error.name === 'TimeoutError' ? false : Promise.reject(error),
        )
    for (let round = 0; round < 20; round += 1) {
      const bounds = { timeoutMs: 5 + round }
      const name = someName()
      const first = await entered(etcd, name, round % 4 < 2 ? bounds : { signal: AbortSignal.timeout(5 + round) })
      const second = await entered(round % 2 === 0 ? etcd : other, name, { timeoutMs: 20 })
      assert.deepEqual([first, second], [false, false], `round ${round}, one after the other`)
    }
    for (let round = 0; round < 20; round += 1) {
      const name = someName()
      const first = entered(etcd, name, { timeoutMs: 10 })
      await sleep(round % 10)
      const [isFirstIn, isSecondIn] = await Promise.all([first, entered(other, name, { timeoutMs: 30 })])
      assert.equal(isFirstIn, isSecondIn, `round ${round}, at the same time`)
    }
  })

  test('a double barrier does not wait for a dead participant, and keeps the next round apart', async () => {
    const name = someName()
    const dying = new Etcd({ endpoints: cluster.endpoints })
    const barriers = [etcd, other, dying].map((client) => client.doubleBarrier(name, 3, { ttlSeconds: 60 }))
    const entries = await Promise.all(barriers.map((barrier) => barrier.enter()))
    const [first, second] = entries as [BarrierEntry, BarrierEntry]
    await dying.close()
    // One has died and two are still in it: this one is the first of the next time, not the last of this one.
    const early = other.doubleBarrier(name, 3).enter()
    await untilKeys(`${name}/waiters/`, 3)
    await second[Symbol.asyncDispose]()
    await first.leave()
    assert.equal((await storedKeys(cluster, `${name}/~ready`)).length, 0)
    const others = Promise.all([etcd.doubleBarrier(name, 3).enter(), etcd.doubleBarrier(name, 3).enter()])
    const next = [await early, ...(await others)]
    await assert.rejects(
      early.then((entry) => entry.leave({ timeoutMs: -1 })),
      { code: 'INVALID_ARGUMENT' },
    )
    await Promise.all(next.map((entry) => entry.leave()))
    assert.deepEqual(await storedKeys(cluster, name), [])
  })

  test('reject wrong arguments by name', () => {
    assert.throws(() => etcd.barrier(''), /`name` must be a non-empty string/)
    assert.throws(() => etcd.doubleBarrier('a', 0), /`count` must be a whole number of at least 1/)
    // @ts-expect-error: a wrong name
    assert.throws(() => etcd.doubleBarrier('a', 1, { ttl: 1 }), /unknown option `ttl` of doubleBarrier\(\)/)
  })
})
