import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { isEtcdError, type Keyspace } from '../../src/index.js'
import { poll } from '../../src/testing/index.js'
import { useClient, useCluster } from '../support/cluster.js'
import { storedKeys } from '../support/cluster-view.js'
import { createClient } from '../support/fixtures.js'
import { randomFrom } from '../support/random.js'

/** Parts that the keys of some recipe have, or that look like parts of one. */
const parts = [
  'read',
  'write',
  'waiters',
  'holders',
  'permits',
  'ready',
  'urgent',
  '00005',
  '17',
  'dead',
  '~ready',
  '__a',
]
const bounds = { timeoutMs: 20_000 }

/** A keyspace and the name that something has in it. */
interface NamedKeyspace {
  readonly keyspace: Keyspace
  readonly name: string
}

/** Runs one recipe with two or three users, and checks that it does what it would do alone. */
type Scenario = (named: () => NamedKeyspace, random: () => number) => Promise<void>

const pause = (random: () => number) => sleep(random() * 10)

/** Runs `use` in each of `count` users: those of one mutex never at the same time, and with growing fences. */
async function exclude(
  count: number,
  take: (index: number) => Promise<{ readonly fence: number; end(): Promise<void> }>,
  random: () => number,
): Promise<void> {
  let holders = 0
  let last = 0
  const use = async (index: number) => {
    await pause(random)
    const { fence, end } = await take(index)
    holders += 1
    assert.deepEqual([holders, fence > last], [1, true])
    last = fence
    await pause(random)
    holders -= 1
    await end()
  }
  await Promise.all(Array.from({ length: count }, (_, index) => use(index)))
}

const scenarios: Record<string, Scenario> = {
  /** Both have the keys of Go's clientv3, and are one lock where their names are the same. */
  'lock and election': (named, random) =>
    exclude(
      4,
      async (index) => {
        const { keyspace, name } = named()
        if (index % 2 === 0) {
          const lock = await keyspace.lock(name, bounds)
          return { fence: lock.fence, end: () => lock.release() }
        }
        const election = keyspace.election(name)
        const leadership = await election.campaign(`candidate ${index}`, bounds)
        assert.equal((await election.leader())?.valueText, `candidate ${index}`)
        return { fence: leadership.fence, end: () => leadership.resign() }
      },
      random,
    ),
  'read/write lock': async (named, random) => {
    let [readers, writers] = [0, 0]
    const lockOf = ({ keyspace, name }: NamedKeyspace) => keyspace.rwLock(name)
    const use = async (writes: boolean) => {
      await pause(random)
      const lock = lockOf(named())
      await using _ = writes ? await lock.write(bounds) : await lock.read(bounds)
      if (writes) writers += 1
      else readers += 1
      assert.ok(writers === 0 || (writers === 1 && readers === 0), `${writers} writers, ${readers} readers`)
      await pause(random)
      if (writes) writers -= 1
      else readers -= 1
    }
    const [first, second] = [await lockOf(named()).tryRead(), await lockOf(named()).tryRead()]
    await assert.rejects(lockOf(named()).tryWrite(), { code: 'LOCK_UNAVAILABLE' })
    await Promise.all([first.release(), second.release()])
    await (await lockOf(named()).tryWrite()).release()
    await Promise.all([use(true), use(false), use(true), use(false)])
  },
  semaphore: async (named, random) => {
    const semaphoreOf = ({ keyspace, name }: NamedKeyspace) => keyspace.semaphore(name, 2)
    const held = [await semaphoreOf(named()).tryAcquire(), await semaphoreOf(named()).tryAcquire()]
    await assert.rejects(semaphoreOf(named()).tryAcquire(), { code: 'LOCK_UNAVAILABLE' })
    const waiting = semaphoreOf(named()).acquire(bounds)
    await pause(random)
    await held[0]?.release()
    await (await waiting).release()
    await held[1]?.release()
  },
  barrier: async (named, random) => {
    const barrierOf = ({ keyspace, name }: NamedKeyspace) => keyspace.barrier(name)
    await barrierOf(named()).wait(bounds)
    await barrierOf(named()).hold()
    let hasPassed = false
    const waiting = barrierOf(named())
      .wait(bounds)
      .then(() => {
        hasPassed = true
      })
    await pause(random)
    assert.equal(hasPassed, false)
    await barrierOf(named()).release()
    await waiting
  },
  'double barrier': async (named, random) => {
    for (let round = 0; round < 2; round += 1) {
      let [come, left] = [0, 0]
      const use = async () => {
        await pause(random)
        const { keyspace, name } = named()
        come += 1
        const entry = await keyspace.doubleBarrier(name, 2).enter(bounds)
        assert.equal(come, 2)
        await pause(random)
        left += 1
        await entry.leave(bounds)
        assert.equal(left, 2)
      }
      await Promise.all([use(), use()])
    }
  },
  queue: async (named, random) => {
    const queueOf = ({ keyspace, name }: NamedKeyspace) => keyspace.queue(name)
    const mark = String(random())
    for (let index = 0; index < 3; index += 1) await queueOf(named()).enqueue(`${mark} ${index}`)
    assert.equal(await queueOf(named()).size(), 3)
    await pause(random)
    for (let index = 0; index < 3; index += 1) {
      assert.equal((await queueOf(named()).dequeue(bounds)).valueText, `${mark} ${index}`)
    }
    const none = queueOf(named()).dequeue({ timeoutMs: 100 })
    await assert.rejects(none, (error) => isEtcdError(error, 'DEADLINE_EXCEEDED'))
    const next = queueOf(named()).dequeue(bounds)
    await queueOf(named()).enqueue(`${mark} last`)
    assert.equal((await next).valueText, `${mark} last`)
  },
  'priority queue': async (named, random) => {
    const queueOf = ({ keyspace, name }: NamedKeyspace) => keyspace.priorityQueue(name)
    const mark = String(random())
    for (const priority of [5, 17, 5, 0]) await queueOf(named()).enqueue(`${mark} ${priority}`, priority)
    await pause(random)
    assert.equal(await queueOf(named()).size(), 4)
    for (const priority of [0, 5, 5, 17]) {
      assert.equal((await queueOf(named()).dequeue(bounds)).valueText, `${mark} ${priority}`)
    }
    const none = queueOf(named()).dequeue({ timeoutMs: 100 })
    await assert.rejects(none, (error) => isEtcdError(error, 'DEADLINE_EXCEEDED'))
  },
}

/** Names that begin with each other, slash or not. */
function nestedNames(random: () => number, count: number): string[] {
  const one = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)] as T
  const names = new Set(['a'])
  while (names.size < count) {
    const name = one([...names])
    names.add(
      one([`${name}/${one(parts)}`, `${name}/${one(parts)}`, `${name}${one(['~semaphore', 'b', '/'])}`, `__${name}`]),
    )
  }
  return [...names]
}

describe('Locks, barriers and queues whose names extend each other', () => {
  const cluster = useCluster()
  const etcd = useClient(cluster)
  const other = useClient(cluster)

  /** The same named in one of two clients, through any namespaces and batchers. */
  function namedKeyspace(at: string, name: string, random: () => number): NamedKeyspace {
    const client = random() < 0.5 ? etcd : other
    const whole = `${at}${name}`
    const cut = random() < 0.5 ? 0 : at.length + Math.floor(random() * name.length)
    const keyspace = cut === 0 ? client : client.namespace(whole.slice(0, cut))
    return { keyspace: random() < 0.3 ? keyspace.batcher() : keyspace, name: whole.slice(cut) }
  }

  const seeds = (process.env.ETCDKIT_NESTED_SEEDS ?? '1,2,3,4').split(',').map(Number)
  for (const seed of seeds) {
    test(`do not affect each other when used concurrently (seed ${seed})`, { timeout: 60_000 }, async () => {
      const random = randomFrom(seed)
      const at = `seed-${seed}/`
      const names = nestedNames(random, 6)
      const runs = names.flatMap((name) =>
        Object.entries(scenarios).map(([kind, scenario]) => ({ name, kind, scenario })),
      )
      const failed: string[] = []
      const run = async ({ name, kind, scenario }: (typeof runs)[number]) => {
        // These are refused.
        if (kind === 'barrier' && /~ready$|__.*\/00005$/.test(name)) return
        try {
          for (let round = 0; round < 2; round += 1) await scenario(() => namedKeyspace(at, name, random), random)
        } catch (error) {
          failed.push(`${kind} ${name}: ${error instanceof Error ? error.stack : error}`)
        }
      }
      await Promise.all(runs.map(run))
      assert.deepEqual(failed, [], names.join(' '))
      await poll('only the counters are left', async () => {
        const isCounter = ({ key }: { key: string }) => /~semaphore\/~permits$|__.*\/\d{5}$/.test(key)
        return (await storedKeys(cluster, at)).every(isCounter) || undefined
      })
    })
  }

  test('keep their keys apart from other kinds and from data, also permanent keys', async (t) => {
    const lease = await other.lease.grant(60)
    const stays = async (key: string, leased = false) =>
      other.put(`apart/${key}`, 'stays', leased ? { lease: lease.id } : {})
    const keys = [
      '1',
      'abc',
      'dead',
      lease.id,
      'read/1',
      'write/x',
      'waiters/2',
      'ready',
      'permits',
      'holders/3',
      '00000/1',
    ]
    for (const key of keys) await stays(key)
    for (const key of ['service', 'read/service', 'write/1', 'waiters/service', '0', 'f00']) await stays(key, true)
    const count = (await storedKeys(cluster, 'apart/')).length
    const named = (): NamedKeyspace => ({ keyspace: etcd, name: 'apart' })
    for (const [kind, scenario] of Object.entries(scenarios)) {
      await scenario(named, randomFrom(1)).catch((error: unknown) => assert.fail(`${kind}: ${error}`))
    }
    assert.equal((await storedKeys(cluster, 'apart/')).length, count)
    const client = createClient(t, cluster, { namespace: 'apart/' })
    for (const name of ['a~semaphore/~permits', 'a/~ready', '~ready', '__a/00000']) {
      const refused = {
        name: 'InvalidArgumentError',
        message: /`name` of a barrier must not be ".*": semaphores, double/,
      }
      assert.throws(() => client.barrier(name), refused)
    }
  })

  test('find the items of a queue among a thousand other keys', async () => {
    const at = 'many/'
    for (const folder of ['17', '18']) {
      const nested = etcd.queue(`${at}${folder}`)
      await Promise.all(Array.from({ length: 500 }, (_, index) => nested.enqueue(String(index))))
      await etcd.priorityQueue(`${at}000${folder}`).enqueue('nested', 5)
    }
    const [queue, urgent] = [etcd.queue('many'), etcd.priorityQueue('many')]
    await urgent.enqueue('second', 18)
    await urgent.enqueue('first', 17)
    await queue.enqueue('mine')
    assert.deepEqual([await queue.size(), await urgent.size()], [1, 2])
    assert.equal((await queue.dequeue(bounds)).valueText, 'mine')
    assert.deepEqual([(await urgent.dequeue()).valueText, (await urgent.dequeue()).valueText], ['first', 'second'])
    assert.equal(await etcd.queue(`${at}17`).size(), 500)
  })
})
