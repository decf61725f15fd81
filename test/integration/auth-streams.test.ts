import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Etcd } from '../../src/index.js'
import { authenticateRecords, rootPassword } from '../support/auth.js'
import { useCluster } from '../support/cluster.js'
import { createClient } from '../support/fixtures.js'

const ttlSeconds = 2

describe('Streams under tokens with a TTL of two seconds', () => {
  const cluster = useCluster({ members: 3, auth: { rootPassword }, flags: { 'auth-token-ttl': ttlSeconds } })

  /** Writes with pauses in which every token is forgotten, and makes a new watch after each. */
  async function writeWithPauses(etcd: Etcd, lease: string): Promise<number[]> {
    const written: number[] = []
    for (let round = 0; round < 3; round++) {
      for (let count = 0; count < 20; count++) written.push((await etcd.put('watched/key', '', { lease })).revision)
      await sleep(ttlSeconds * 1000 + 800)
      await using watch = etcd.watch(`other/${round}`)
      await watch.ready()
    }
    written.push((await etcd.put('watched/end', '')).revision)
    return written
  }

  test('miss no event and lose no lease, with one Authenticate per token lifetime', async (t) => {
    const auth = { username: 'root', password: rootPassword, tokenTtlMs: ttlSeconds * 1000 }
    const etcd = createClient(t, cluster, { auth })
    const records = authenticateRecords(t)
    const startedAt = performance.now()
    const watch = etcd.watch({ prefix: 'watched/' })
    await watch.ready()
    const lease = await etcd.lease.grant(5)
    const writing = writeWithPauses(etcd, lease.id)
    const seen: number[] = []
    for await (const event of watch) {
      seen.push(event.revision)
      if (event.keyText === 'watched/end') break
    }
    assert.deepEqual(seen, await writing)
    assert.ok(lease.isAlive())
    assert.equal((await etcd.get('watched/key'))?.lease, lease.id)
    const maxTokens = 1 + (performance.now() - startedAt) / (ttlSeconds * 1000)
    assert.ok(records.length >= 2 && records.length <= maxTokens, `${records.length} Authenticates`)
  })

  test('are reopened with a new token after theirs was rejected', async (t) => {
    // This client does not know how short tokens live here.
    const etcd = createClient(t, cluster, { auth: { username: 'root', password: rootPassword } })
    const first = etcd.watch('first')
    await first.ready()
    await sleep(2 * ttlSeconds * 1000)
    const records = authenticateRecords(t)
    const second = etcd.watch('second')
    await second.ready()
    assert.deepEqual(
      records.map(({ reason, outcome }) => ({ reason, ok: outcome.ok })),
      [{ reason: 'rejected', ok: true }],
    )
    await etcd.put('first', 'value')
    const [event] = [await first[Symbol.asyncIterator]().next()]
    assert.equal(event?.value?.keyText, 'first')
    await Promise.all([first.close(), second.close()])
  })
})
