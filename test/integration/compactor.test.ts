import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Compactor } from '../../src/index.js'
import { poll } from '../../src/testing/poll.js'
import { runScript } from '../support/child.js'
import { useClient, useCluster } from '../support/cluster.js'
import { storedKey } from '../support/cluster-view.js'
import { createClient } from '../support/fixtures.js'

interface Compaction {
  readonly at: number
  readonly revision: number
}

/** The compactions of these compactors, in the order of their events. */
function compactionsOf(compactors: readonly Compactor[]): Compaction[] {
  const compactions: Compaction[] = []
  for (const compactor of compactors) {
    compactor.on('compacted', ({ revision }) => compactions.push({ at: performance.now(), revision }))
  }
  return compactions
}

describe('A compactor', () => {
  const cluster = useCluster()
  const etcd = useClient(cluster)

  test('takes turns with others and keeps all history younger than its retention', async (t) => {
    const retainMs = 150
    const clients = Array.from({ length: 3 }, () => createClient(t, cluster, { namespace: 'tenant/' }))
    const compactors = clients.map((client) => client.compactor({ retainMs, intervalMs: 50 }))
    const compactions = compactionsOf(compactors)
    const failures: unknown[] = []
    for (const compactor of compactors) compactor.on('retrying', ({ error }) => failures.push(error))
    const writes: { readonly sentAt: number; readonly revision: number }[] = []
    while (compactions.length < 12) {
      const sentAt = performance.now()
      writes.push({ sentAt, revision: (await etcd.put('key', 'value')).revision })
    }
    await Promise.all(compactors.map((compactor) => compactor.close()))
    assert.deepEqual(failures, [])
    assert.deepEqual(new Set(compactors.map(({ state }) => state.kind)), new Set(['closed']))
    for (const { at, revision } of compactions) {
      // Written later than `retainMs` before: it must be there still.
      const young = writes.find(({ sentAt }) => sentAt > at - retainMs)
      assert.ok(young === undefined || young.revision > revision)
    }
    const revisions = compactions.map(({ revision }) => revision)
    assert.deepEqual(
      revisions,
      [...new Set(revisions)].toSorted((a, b) => a - b),
    )
    assert.equal((await storedKey(cluster, 'compact_rev_key'))?.value, String(revisions.at(-1)))
    await assert.rejects(etcd.get('key', { revision: (revisions.at(-1) ?? 0) - 1 }), { code: 'COMPACTED' })
    await etcd.get('key', { revision: revisions.at(-1) ?? 0 })
  })

  test('takes over from one that is gone', async (t) => {
    const [first, second] = [createClient(t, cluster), createClient(t, cluster)]
    const options = { retainMs: 60, intervalMs: 30, key: 'gone/compact' }
    const compactors = [first.compactor(options), second.compactor(options)]
    const [before] = await Promise.all(
      compactors.map((compactor) => new Promise((resolve) => compactor.on('compacted', resolve))),
    )
    assert.ok(before)
    await first.close()
    const yielded = compactionsOf(compactors.slice(1))
    await poll('the other one compacts', async () => {
      await etcd.put('key', 'value')
      return yielded.length > 0 || undefined
    })
    await poll('the client has closed its own', () => compactors[0]?.state.kind === 'closed' || undefined)
    assert.ok((compactors[1]?.compactRevision ?? 0) > 0)
    await compactors[1]?.close()
  })

  test('reports failures and continues, also after the servers compacted', async (t) => {
    const own = createClient(t, cluster, { connectTimeoutMs: 200 })
    const compactor = own.compactor({ retainMs: 100, intervalMs: 20, key: 'fail/compact' })
    t.after(() => compactor.close())
    await etcd.compact((await etcd.put('key', 'value')).revision)
    await etcd.put('key', 'value')
    const next = (event: 'compacted' | 'retrying') => new Promise((resolve) => compactor.on(event, resolve))
    await next('compacted')
    const failed = next('retrying')
    await cluster.kill(0)
    await failed
    assert.equal(compactor.state.kind, 'retrying')
    await cluster.restart(0)
    const again = next('compacted')
    await etcd.put('key', 'value')
    await again
  })

  test('keeps its process alive until it is closed', async () => {
    const script = (end: string) => `
      import { Etcd } from './src/index.js'
      const etcd = new Etcd({ endpoints: ${JSON.stringify(cluster.endpoints)} })
      const compactor = etcd.compactor({ retainMs: 60_000 })
      const left = setTimeout(() => { console.log('open'); ${end} }, 200)
      left.unref()`
    const ends = ['compactor.close().then(() => etcd.close())', 'etcd.close()']
    const results = await Promise.all(ends.map((end) => runScript(script(end))))
    for (const { code, stdout } of results) assert.deepEqual([code, stdout], [0, 'open\n'])
  })

  test('rejects invalid options', () => {
    assert.throws(() => etcd.compactor({ retainMs: 0 }), /`retainMs` must be milliseconds, at least 1/)
    assert.throws(
      () => etcd.compactor({ intervalMs: Number.POSITIVE_INFINITY }),
      /`intervalMs` must be milliseconds, got Inf/,
    )
    assert.throws(() => etcd.compactor({ key: '' }), /`key` must not be empty/)
    assert.throws(() => etcd.compactor(Object({ retain: 1 })), /unknown option `retain` of compactor\(\)/)
  })
})
