import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import type { Informer, InformerEvents, Keyspace } from '../../src/index.js'
import { poll } from '../../src/testing/index.js'
import { useCluster } from '../support/cluster.js'
import { createClient, uniquePrefix } from '../support/fixtures.js'

function createFile(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'etcdkit-informer-'))
  t.after(() => rmSync(folder, { recursive: true }))
  return join(folder, 'state')
}

/** Leaves the keys with a prefix in a file. */
async function leave(kv: Keyspace, prefix: string, persist: string): Promise<number> {
  await using informer = kv.informer({ prefix }, { persist })
  await informer.ready()
  return informer.revision
}

function eventsOf(informer: Informer<string>) {
  const errors: string[] = []
  const resyncs: InformerEvents['resync'][] = []
  informer.on('error', ({ error, terminal }) => errors.push(`${terminal} ${(error as Error).message}`))
  informer.on('resync', (resync) => resyncs.push(resync))
  return { errors, resyncs }
}

describe('The file of an informer', () => {
  const cluster = useCluster()
  const other = useCluster()

  test('provides the state of an earlier process while no member is reachable', async (t) => {
    const etcd = createClient(t, cluster)
    const [prefix, persist] = [uniquePrefix(), createFile(t)]
    await etcd.put(`${prefix}a`, '1')
    const revision = await leave(etcd, prefix, persist)
    const lost = createClient(t, { endpoints: ['http://127.0.0.1:1'] }, { timeoutMs: 200 })
    await using informer = lost.informer({ prefix }, { persist })
    const { errors } = eventsOf(informer)
    assert.equal(await informer.ready({ allowStale: true }), revision)
    assert.deepEqual([informer.get(`${prefix}a`), informer.isStale], ['1', true])
    await poll('the listing has failed and is tried again', () => errors.length >= 1 || undefined)
    assert.ok(errors.every((error) => error.startsWith('false')))
  })

  test('is ignored for another namespace or user, with an event', async (t) => {
    const etcd = createClient(t, cluster)
    const persist = createFile(t)
    const [first, second] = [etcd.namespace(uniquePrefix()), etcd.namespace(uniquePrefix())]
    await first.put('k/secret', 'of the first')
    await second.put('k/own', 'of the second')
    await leave(first, 'k/', persist)
    const unreachable = { endpoints: ['http://127.0.0.1:1'] }
    const auth = { username: 'alice', password: 'secret' }
    for (const [kv, what] of [
      [second, 'range or namespace'],
      [createClient(t, unreachable, { auth, namespace: 'test-1/', timeoutMs: 200 }), 'range or namespace|user'],
    ] as const) {
      await using informer = kv.informer({ prefix: 'k/' }, { persist })
      const { errors } = eventsOf(informer)
      assert.deepEqual([informer.isStale, informer.size], [false, 0])
      await poll('the error is emitted', () => errors[0])
      assert.match(String(errors[0]), new RegExp(`^false .*state is not used: it holds the keys of another (${what})`))
    }
  })

  test('of another cluster is ignored, or replaced with an event when that is detected later', async (t) => {
    const etcd = createClient(t, cluster)
    const [prefix, persist] = [uniquePrefix(), createFile(t)]
    await etcd.put(`${prefix}a`, '1')
    const fromRevision = await leave(etcd, prefix, persist)
    const stranger = createClient(t, other)
    const emitted: string[] = []
    {
      await using informer = stranger.informer({ prefix }, { persist })
      const { resyncs } = eventsOf(informer)
      informer.on('change', ({ type, keyText, source }) => emitted.push(`${source} ${type} ${keyText}`))
      assert.equal(informer.isStale, true, 'no member has answered yet')
      const toRevision = await informer.ready()
      assert.deepEqual(resyncs, [{ reason: 'CLUSTER_CHANGED', fromRevision, compactRevision: undefined, toRevision }])
      await poll('the changes are emitted', () => emitted.length === 2 || undefined)
      assert.deepEqual(emitted, [`list add ${prefix}a`, `resync delete ${prefix}a`])
    }
    await using informer = etcd.informer({ prefix }, { persist })
    const { errors } = eventsOf(informer)
    assert.equal(informer.isStale, false)
    await informer.ready()
    assert.match(String(errors[0]), /another cluster/)
  })

  test('belongs to one informer of a process at a time', async (t) => {
    const etcd = createClient(t, cluster)
    const persist = createFile(t)
    const [first, second] = [etcd.namespace(uniquePrefix()), etcd.namespace(uniquePrefix())]
    const informer = first.informer({ prefix: 'k/' }, { persist })
    const refused = {
      code: 'INVALID_ARGUMENT',
      message: /`persist` must be a file that no other informer/,
    }
    assert.throws(() => second.informer({ prefix: 'k/' }, { persist }), refused)
    await informer.close()
    await second.informer({ prefix: 'k/' }, { persist }).close()
    const failing = createClient(t, cluster)
    const failed = failing.informer({ prefix: 'k/' }, { persist })
    await failed.ready()
    await failing.close()
    const take = async (): Promise<true> => {
      await first.informer({ prefix: 'k/' }, { persist }).close()
      return true
    }
    await poll('the file is free', take)
  })
})
