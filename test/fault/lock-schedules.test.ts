import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { Etcd, isEtcdError, type Keyspace } from '../../src/index.js'
import { type EtcdCluster, poll } from '../../src/testing/index.js'
import { startCluster } from '../support/cluster.js'
import { proxyAt, storedKeys } from '../support/cluster-view.js'
import { type KeyLife, keyHistory } from '../support/key-history.js'
import { randomFrom } from '../support/random.js'
import { slack } from '../support/slack.js'

/** Longer with `ETCDKIT_LOCK_SCHEDULE_SECONDS=60`. */
const seconds = Number(process.env.ETCDKIT_LOCK_SCHEDULE_SECONDS ?? 4)
const names = ['a', 'a/b', 'a/read', 'c']

type Kind = 'lock' | 'read' | 'write' | 'semaphore'

/** What was granted, with its whole key. */
interface Granted {
  readonly kind: Kind
  readonly name: string
  readonly key: string
  readonly fence: number
}

/** What a lock, a leadership and a permit have in common. */
interface Held {
  readonly key: string
  readonly fence: number
  end(): Promise<void>
}

/** Takes something in one of many ways. */
type Way = (keyspace: Keyspace, name: string, options: { ttlSeconds: number; timeoutMs: number }) => Promise<Held>

const released = <T extends { readonly keyText: string; readonly fence: number; release(): Promise<void> }>(
  held: T,
): Held => ({
  key: held.keyText,
  fence: held.fence,
  end: () => held.release(),
})

const ways: readonly (readonly [Kind, Way])[] = [
  ['lock', async (keyspace, name, options) => released(await keyspace.lock(name, options))],
  ['lock', async (keyspace, name, options) => released(await keyspace.lock(name, { ...options, value: 'seen' }))],
  ['lock', async (keyspace, name, options) => released(await keyspace.tryLock(name, options))],
  [
    'lock',
    async (keyspace, name, options) => {
      const all = await keyspace.lockAll([name], options)
      return { key: all.locks[0]?.keyText ?? '', fence: all.fence(name), end: () => all.release() }
    },
  ],
  [
    'lock',
    async (keyspace, name, { ttlSeconds, timeoutMs }) => {
      const leadership = await keyspace.election(name, { ttlSeconds }).campaign('me', { timeoutMs })
      return { key: leadership.keyText, fence: leadership.fence, end: () => leadership.resign() }
    },
  ],
  ['read', async (keyspace, name, options) => released(await keyspace.rwLock(name).read(options))],
  ['read', async (keyspace, name, options) => released(await keyspace.rwLock(name).tryRead(options))],
  ['write', async (keyspace, name, options) => released(await keyspace.rwLock(name).write(options))],
  ['write', async (keyspace, name, options) => released(await keyspace.rwLock(name).tryWrite(options))],
  ['semaphore', async (keyspace, name, options) => released(await keyspace.semaphore(name, 2).acquire(options))],
]

const expected = ['LOCK_TIMEOUT', 'LOCK_UNAVAILABLE', 'CLOSED'] as const

/** The folders whose entries exclude a holder, and how many entries it admits. */
const rivals: Readonly<Record<Kind, (name: string) => readonly string[]>> = {
  lock: (name) => [`${name}/`],
  read: (name) => [`${name}/write/`],
  write: (name) => [`${name}/read/`, `${name}/write/`],
  semaphore: (name) => [`${name}~semaphore/`],
}

/** Whether a key is an entry of a folder, by the rule of Go's clients: by the lease, or by the unique name. */
function isIn(folder: string, kind: Kind, { key, lease }: KeyLife): boolean {
  if (!key.startsWith(folder) || lease === undefined) return false
  const rest = key.slice(folder.length)
  return kind === 'lock' ? rest === lease : /^\d{19}-[0-9a-f]{32}$/.test(rest)
}

/** Violations, as sentences: every holder must be the first entry that the cluster knows. */
function violations(granted: readonly Granted[], lives: readonly KeyLife[]): string[] {
  return granted.flatMap(({ kind, name, key, fence }) => {
    const thenThere = lives.filter(({ createdAt, deletedAt }) => createdAt <= fence && fence < deletedAt)
    const own = thenThere.find((life) => life.key === key)
    if (own === undefined) return [`${key} was not there at ${fence}`]
    const before = thenThere.filter(
      (life) => life.createdAt < own.createdAt && rivals[kind](name).some((folder) => isIn(folder, kind, life)),
    )
    if (before.length <= (kind === 'semaphore' ? 1 : 0)) return []
    return [`${key} was granted at ${fence} while there was ${before.map((life) => life.key).join(', ')}`]
  })
}

class Storm {
  readonly granted: Granted[] = []
  readonly errors: string[] = []
  readonly #random: () => number
  readonly #cluster: EtcdCluster
  readonly #direct: Etcd
  readonly #clients: Etcd[]
  /** Keys that somebody in this process holds. */
  readonly #held = new Set<string>()

  constructor(seed: number, cluster: EtcdCluster, direct: Etcd) {
    this.#random = randomFrom(seed)
    this.#cluster = cluster
    this.#direct = direct
    this.#clients = Array.from({ length: 3 }, () => this.#newClient())
  }

  async run(until: number): Promise<void> {
    const work = async () => {
      while (Date.now() < until) await this.#turn()
    }
    await Promise.all([...Array.from({ length: 30 }, work), this.#disturb(until)])
    await Promise.all(this.#clients.map((client) => client.close()))
  }

  #newClient(): Etcd {
    return new Etcd({ endpoints: this.#cluster.endpoints, timeoutMs: 2000 })
  }

  #pick<T>(from: readonly T[]): T {
    return from[Math.floor(this.#random() * from.length)] as T
  }

  async #turn(): Promise<void> {
    const name = this.#pick(names)
    const [kind, take] = this.#pick(ways)
    const cut = this.#random() < 0.5 ? 0 : 2 + Math.floor(this.#random() * name.length)
    const whole = `x/${name}`
    const client = this.#pick(this.#clients)
    const inside = cut === 0 ? client : client.namespace(whole.slice(0, cut))
    const keyspace = this.#random() < 0.4 ? inside.batcher() : inside
    const options = { ttlSeconds: this.#pick([2, 5]), timeoutMs: this.#pick([100, 300, 8000]) }
    try {
      const held = await take(keyspace, whole.slice(cut), options)
      await this.#hold({ kind, name: whole, key: `${whole.slice(0, cut)}${held.key}`, fence: held.fence })
      await held.end()
    } catch (error) {
      if (!expected.some((code) => isEtcdError(error, code))) this.errors.push(String(error))
    }
  }

  async #hold(granted: Granted): Promise<void> {
    this.granted.push(granted)
    const { key } = granted
    if (this.#held.has(key)) this.errors.push(`${key} is held twice`)
    this.#held.add(key)
    await sleep(this.#random() * 15)
    this.#held.delete(key)
  }

  /** Ends leases, deletes keys, cuts connections, loses answers, closes clients. */
  async #disturb(until: number): Promise<void> {
    while (Date.now() < until) {
      await sleep(50 + this.#random() * 150)
      const proxy = proxyAt(this.#cluster, this.#pick([0, 1, 2]))
      const kv = this.#pick((await this.#direct.range({ prefix: 'x/' })).kvs.filter(({ lease }) => lease !== undefined))
      await this.#pick([
        async () => kv?.lease !== undefined && this.#direct.lease.revoke(kv.lease).catch(() => {}),
        async () => kv !== undefined && this.#direct.delete(kv.key),
        async () => proxy.cut(),
        async () => {
          proxy.onData((_, { direction }) => (direction === 'down' && this.#random() < 0.5 ? 'reset' : undefined))
          await sleep(80)
          proxy.onData(undefined)
        },
        async () => this.#clients.splice(this.#pick([0, 1, 2]), 1, this.#newClient())[0]?.close(),
      ])()
    }
  }
}

describe('Locks, leaderships and permits within one process', () => {
  for (const seed of (process.env.ETCDKIT_LOCK_SCHEDULE_SEEDS ?? '1').split(',').map(Number)) {
    test(`are granted in queue order under random endings (seed ${seed})`, {
      timeout: seconds * 1000 + 60_000,
    }, async (t) => {
      const cluster = await startCluster(t, { members: 3, proxy: true })
      await using direct = new Etcd({ endpoints: cluster.members.map(({ clientUrl }) => clientUrl) })
      const { revision: from } = await direct.put('begin', '')
      const storm = new Storm(seed, cluster, direct)
      await storm.run(Date.now() + seconds * 1000)
      const { revision: to } = await direct.put('x/end', '')
      t.diagnostic(`${storm.granted.length} were granted`)
      assert.deepEqual(storm.errors, [])
      assert.deepEqual(violations(storm.granted, await keyHistory(direct, 'x/', from, to)), [])
      const mutexes = storm.granted.filter(({ kind }) => kind === 'lock' || kind === 'write')
      assert.equal(new Set(mutexes.map(({ kind, name, fence }) => `${kind} ${name} ${fence}`)).size, mutexes.length)
      assert.ok(storm.granted.length * slack() > seconds * 10)
      await poll(
        'only the numbers of permits are left',
        async () => (await storedKeys(cluster, 'x/')).every(({ key }) => /~permits$|^x\/end$/.test(key)) || undefined,
      )
    })
  }
})
