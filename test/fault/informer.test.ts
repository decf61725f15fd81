import assert from 'node:assert/strict'
import { cpSync, rmSync } from 'node:fs'
import { describe, type TestContext, test } from 'node:test'
import { type Change, type Etcd, type Informer, type InformerEvents, put } from '../../src/index.js'
import { type EtcdCluster, poll } from '../../src/testing/index.js'
import { startCluster, useCluster } from '../support/cluster.js'
import { memberAt, proxyAt, storedKeys } from '../support/cluster-view.js'
import { createClient, uniquePrefix } from '../support/fixtures.js'
import { Load } from '../support/load.js'

/** Applies changes as a handler receives them. A change that does not fit the earlier ones is a mistake. */
class Mirror {
  readonly received: Change<string>[] = []
  readonly mistakes: string[] = []
  readonly #values = new Map<string, string>()
  #revision = 0

  constructor(informer: Informer<string>) {
    informer.subscribe((change) => this.#take(change))
  }

  get entries(): [string, string][] {
    return [...this.#values].sort(([a], [b]) => (a < b ? -1 : 1))
  }

  /** Whether the handler has received everything that the informer shows. */
  shows(informer: Informer<string>): true | undefined {
    return JSON.stringify(this.entries) === JSON.stringify(shown(informer)) || undefined
  }

  #take(change: Change<string>): void {
    const { type, keyText, value, old, revision, source } = change
    this.received.push(change)
    if (old?.value !== this.#values.get(keyText))
      this.mistakes.push(`${type} of ${keyText}: ${old?.value} was not received before`)
    if (source === 'watch' && revision < this.#revision) this.mistakes.push(`${revision} after ${this.#revision}`)
    // A resync comes in key order, and may lead to an older cluster.
    this.#revision = source === 'resync' ? 0 : revision
    if (type === 'delete') this.#values.delete(keyText)
    else this.#values.set(keyText, value)
  }
}

function shown(informer: Informer<string>): [string, string][] {
  return informer.list().map(({ keyText, value }) => [keyText, value])
}

/** An informer that closes itself before its client does, with its events. */
async function follow(t: TestContext, etcd: Etcd, prefix: string, maxQueuedChanges?: number) {
  const informer = etcd.informer({ prefix }, { maxQueuedChanges })
  t.after(() => informer.close())
  const mirror = new Mirror(informer)
  const resyncs: InformerEvents['resync'][] = []
  const errors: unknown[] = []
  informer.on('resync', (resync) => resyncs.push(resync))
  informer.on('error', ({ error }) => errors.push(error))
  await informer.ready()
  return { informer, mirror, resyncs, errors }
}

async function stored(cluster: EtcdCluster, prefix: string): Promise<[string, string][]> {
  return (await storedKeys(cluster, prefix)).map(({ key, value }) => [key, value])
}

describe('An informer after a cut', () => {
  const cluster = useCluster({ proxy: true })

  test('matches the cluster after one resync with the last known values when the history was compacted', async (t) => {
    const prefix = uniquePrefix()
    const writer = createClient(t, { endpoints: [memberAt(cluster, 0).clientUrl] })
    for (const name of ['kept', 'changed', 'gone', 'again']) await writer.put(prefix + name, '1')
    const { informer, mirror, resyncs, errors } = await follow(t, createClient(t, cluster), prefix)
    await writer.put(`${prefix}changed`, '2')
    await informer.waitForRevision((await writer.put(`${prefix}gone`, '2')).revision)
    const fromRevision = informer.revision
    await poll('all changes are received', () => mirror.shows(informer))
    const { length } = mirror.received

    proxyAt(cluster, 0).refuse()
    proxyAt(cluster, 0).cut()
    for (let round = 0; round < 50; round += 1) await writer.put(`${prefix}changed`, String(round))
    await writer.delete(`${prefix}gone`)
    await writer.delete(`${prefix}again`)
    await writer.put(`${prefix}again`, 'new')
    const { revision } = await writer.put(`${prefix}new`, '1')
    await writer.compact(revision)
    proxyAt(cluster, 0).heal()
    proxyAt(cluster, 0).accept()

    await informer.waitForRevision(revision)
    await poll('all changes are received', () => mirror.shows(informer))
    assert.deepEqual(shown(informer), await stored(cluster, prefix))
    assert.deepEqual(resyncs, [{ reason: 'COMPACTED', fromRevision, compactRevision: revision, toRevision: revision }])
    assert.deepEqual([informer.stats().resyncs, mirror.mistakes, errors], [1, [], []])
    assert.deepEqual(
      mirror.received
        .slice(length)
        .map(({ type, keyText, value, old, source }) => [
          type,
          keyText.slice(prefix.length),
          value,
          old?.value,
          source,
        ]),
      [
        ['update', 'again', 'new', '1', 'resync'],
        ['update', 'changed', '49', '2', 'resync'],
        ['delete', 'gone', undefined, '2', 'resync'],
        ['add', 'new', '1', undefined, 'resync'],
      ],
    )
  })

  test('misses nothing when the history is still there, and waiting readers do not cause a list', async (t) => {
    const prefix = uniquePrefix()
    const writer = createClient(t, { endpoints: [memberAt(cluster, 0).clientUrl] })
    const { informer, mirror, resyncs } = await follow(t, createClient(t, cluster), prefix)
    proxyAt(cluster, 0).refuse()
    proxyAt(cluster, 0).cut()
    let last = 0
    for (let round = 0; round < 200; round += 1) last = (await writer.put(`${prefix}a`, String(round))).revision
    await assert.rejects(informer.waitForRevision(last, { timeoutMs: 1500 }), { code: 'DEADLINE_EXCEEDED' })
    proxyAt(cluster, 0).heal()
    proxyAt(cluster, 0).accept()
    await informer.waitForRevision(last)
    await poll('all changes are received', () => mirror.shows(informer))
    assert.deepEqual(
      mirror.received.map(({ value, source }) => `${value} ${source}`),
      Array.from({ length: 200 }, (_, round) => `${round} watch`),
    )
    assert.deepEqual([resyncs, mirror.mistakes], [[], []])
  })
})

describe('An informer on three members', () => {
  const cluster = useCluster({ members: 3 })

  test('delivers every change once while its member is killed three times', async (t) => {
    const etcd = createClient(t, cluster)
    const prefix = uniquePrefix()
    const { informer, mirror, resyncs, errors } = await follow(t, etcd, prefix, 100_000)
    let count = 0
    const revisions = new Map<string, number>()
    await using load = new Load(async () => {
      count += 1
      const [key, value] = [`${prefix}${count % 50}`, String(count)]
      const { revision } = await etcd.put(key, value)
      revisions.set(value, revision)
    })
    for (let kills = 0; kills < 3; kills += 1) {
      const endpoint = await poll('the watch is on a member', () => informer.stats().endpoint)
      const index = cluster.endpoints.indexOf(endpoint)
      await cluster.kill(index)
      const wanted = load.successes + 100
      await poll('writes go on', () => load.successes > wanted || undefined)
      await poll(
        'the watch goes on elsewhere',
        () => (informer.stats().endpoint !== undefined && informer.stats().endpoint !== endpoint) || undefined,
      )
      await cluster.restart(index)
    }
    await load.stop()
    await informer.waitForRevision((await etcd.put(`${prefix}last`, '')).revision)
    await poll('all changes are received', () => mirror.shows(informer))
    assert.deepEqual(shown(informer), await stored(cluster, prefix))
    assert.deepEqual([resyncs, errors, mirror.mistakes], [[], [], []])
    const received = new Map(mirror.received.map(({ value, revision }) => [value, revision]))
    assert.equal(
      new Set(mirror.received.map(({ revision }) => revision)).size,
      mirror.received.length,
      'each write once',
    )
    for (const [value, revision] of revisions) assert.equal(received.get(value), revision)
    assert.ok(informer.stats().reconnects >= 3)
    t.diagnostic(`${mirror.received.length} changes, ${informer.stats().reconnects} reconnects`)
  })

  test('shows exactly one revision in each snapshot under concurrent writes', async (t) => {
    const etcd = createClient(t, cluster)
    const prefix = uniquePrefix()
    const { informer } = await follow(t, etcd, prefix)
    const snapshots = new Map<number, ReturnType<typeof informer.snapshot>>()
    informer.on('change', () => {
      const snapshot = informer.snapshot()
      if (snapshots.size < 400) snapshots.set(snapshot.revision, snapshot)
    })
    let round = 0
    await using load = new Load(
      async () => {
        round += 1
        const keys = [round % 97, round % 31, 100 + (round % 7)]
        if (round % 5 === 0) await etcd.delete(`${prefix}${round % 13}`)
        else {
          await etcd
            .txn()
            .then(...[...new Set(keys)].map((key) => put(`${prefix}${key}`, String(round))))
            .commit()
        }
      },
      { workers: 8, restMs: 0 },
    )
    await poll('enough snapshots are taken', () => snapshots.size === 400 || undefined)
    await load.stop()
    const chosen = [...snapshots.values()].filter((_, index) => index % 8 === 0)
    for (const snapshot of chosen) {
      const { kvs } = await etcd.range({ prefix }, { revision: snapshot.revision })
      assert.deepEqual(
        snapshot.list().map(({ keyText, value, modRevision, version }) => [keyText, value, modRevision, version]),
        kvs.map((kv) => [kv.keyText, kv.valueText, kv.modRevision, kv.version]),
        `revision ${snapshot.revision}`,
      )
    }
    assert.equal(chosen.length, 50)
  })

  test('is not slowed by handlers that throw, hang, are slow or are not read', async (t) => {
    const etcd = createClient(t, cluster)
    const prefix = uniquePrefix()
    const limit = 500
    const { informer, mirror } = await follow(t, etcd, prefix, limit)
    let thrown = 0
    informer.on('handlerError', () => {
      thrown += 1
    })
    informer.on('change', () => {
      throw new Error('from a handler')
    })
    informer.on('change', () => new Promise(() => {}))
    const unread = informer.events()
    const slow = { isOpen: false, values: new Map<string, string | undefined>() }
    informer.on('change', async ({ keyText, value }) => {
      slow.values.set(keyText, value)
      while (!slow.isOpen) await new Promise((resolve) => setTimeout(resolve, 5))
    })
    const updates = 20_000
    const perTxn = 100
    let worst = 0
    const startedAt = performance.now()
    for (let done = 0; done < updates; done += perTxn) {
      const operations = Array.from({ length: perTxn }, (_, index) => put(`${prefix}${index}`, String(done)))
      const { revision } = await etcd
        .txn()
        .then(...operations)
        .commit()
      await informer.waitForRevision(revision)
      for (const { queued } of informer.stats().handlers) worst = Math.max(worst, queued)
    }
    await poll('the healthy handler has received everything', () => mirror.shows(informer))
    t.diagnostic(`${updates} updates in ${(performance.now() - startedAt).toFixed()} ms`)
    assert.equal(mirror.received.length, updates, 'the others have not cost it anything')
    assert.equal(thrown, updates)
    assert.ok(worst <= limit, `${worst} changes waited`)
    const overflows = informer.stats().handlers.map(({ overflows }) => overflows > 0)
    assert.deepEqual(overflows, [false, false, true, true, true])

    slow.isOpen = true
    await poll(
      'the slow handler is where the others are',
      () => informer.list().every(({ keyText, value }) => slow.values.get(keyText) === value) || undefined,
    )
    const read = new Map<string, string | undefined>()
    let count = 0
    for await (const { keyText, value } of unread) {
      read.set(keyText, value)
      count += 1
      if (informer.list().every((entry) => read.get(entry.keyText) === entry.value)) break
    }
    assert.ok(count <= limit + 1, `${count} changes lead to the present`)
  })
})

describe('An informer on a cluster restored from a backup', () => {
  test('emits the difference, including keys with the same revision in both', async (t) => {
    const cluster = await startCluster(t)
    const etcd = createClient(t, cluster)
    const prefix = uniquePrefix()
    await etcd.put(`${prefix}kept`, '1')
    await cluster.kill(0)
    const { dataDir } = memberAt(cluster, 0)
    cpSync(dataDir, `${dataDir}-backup`, { recursive: true })
    await cluster.restart(0)
    const { informer, mirror, resyncs } = await follow(t, etcd, prefix)
    for (const name of ['same', 'lost']) await etcd.put(prefix + name, 'before')
    const { revision } = await etcd.put('elsewhere', '')
    await informer.waitForRevision(revision)
    const before = informer.entry(`${prefix}same`)

    await cluster.kill(0)
    rmSync(dataDir, { recursive: true })
    cpSync(`${dataDir}-backup`, dataDir, { recursive: true })
    await cluster.restart(0)
    // The first new write has the revision of the first one that is lost, and its key as well.
    await cluster.call('/v3/kv/put', { key: base64(`${prefix}same`), value: base64('after') })
    await poll('the informer has noticed', () => resyncs[0])
    await poll('the write has come', () => informer.get(`${prefix}same`) === 'after' || undefined)
    await poll('all changes are received', () => mirror.shows(informer))
    assert.deepEqual(shown(informer), await stored(cluster, prefix))
    const same = informer.entry(`${prefix}same`)
    assert.deepEqual([same?.value, same?.modRevision], ['after', before?.modRevision])
    assert.deepEqual([resyncs.length, resyncs[0]?.reason, mirror.mistakes], [1, 'REVISION_REWOUND', []])
    const { revision: later } = await etcd.put(`${prefix}later`, '1')
    await informer.waitForRevision(later)
    assert.equal(informer.get(`${prefix}later`), '1')
  })
})

describe('An informer on a cluster replaced by another one', () => {
  test('emits the difference as a resync', async (t) => {
    const cluster = await startCluster(t)
    const etcd = createClient(t, cluster)
    const prefix = uniquePrefix()
    const { informer, mirror, resyncs } = await follow(t, etcd, prefix)
    for (const name of ['both', 'lost']) await etcd.put(prefix + name, 'before')
    const { revision } = await etcd.put(`${prefix}changed`, 'before')
    await informer.waitForRevision(revision)

    await cluster.kill(0)
    rmSync(memberAt(cluster, 0).dataDir, { recursive: true })
    await cluster.restart(0, { flags: { 'initial-cluster-token': 'another' } })
    // Not one revision more than the old one had, and some keys with the same.
    for (const [name, value] of [
      ['both', 'before'],
      ['new', 'after'],
      ['changed', 'after'],
    ] as const) {
      await cluster.call('/v3/kv/put', { key: base64(prefix + name), value: base64(value) })
    }
    await poll('the informer has noticed', () => resyncs[0])
    await poll('the writes have come', () => informer.get(`${prefix}changed`) === 'after' || undefined)
    await poll('all changes are received', () => mirror.shows(informer))
    assert.deepEqual(shown(informer), await stored(cluster, prefix))
    assert.deepEqual([resyncs.map(({ reason }) => reason), mirror.mistakes], [['CLUSTER_CHANGED'], []])
    const { revision: later } = await etcd.put(`${prefix}later`, '1')
    await informer.waitForRevision(later)
    assert.equal(informer.get(`${prefix}later`), '1')
  })
})

function base64(text: string): string {
  return Buffer.from(text).toString('base64')
}
