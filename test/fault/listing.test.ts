import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startCluster } from '../support/cluster.js'
import { createClient, fill, uniquePrefix } from '../support/fixtures.js'

test('A listing over connections that are cut returns every key of its revision once, in order', async (t) => {
  const cluster = await startCluster(t, { members: 3, proxy: true })
  const prefix = uniquePrefix()
  const kv = createClient(t, cluster).namespace(prefix)
  const direct = { endpoints: cluster.members.map(({ clientUrl }) => clientUrl) }
  const writer = createClient(t, direct).namespace(prefix)
  const names = await fill(kv, 3000, 'v'.repeat(10_000))
  const keys: string[] = []
  const revisions = new Set<number>()
  let pages = 0
  for await (const page of kv.list({ prefix: '' }, { maxPageSize: 150 }).pages()) {
    pages += 1
    keys.push(...page.kvs.map(({ keyText }) => keyText))
    revisions.add(page.revision)
    if (pages % 5 === 0) for (const { proxy } of cluster.members) proxy?.cut()
    await writer.put('999999', 'later') // not of this revision
  }
  assert.deepEqual(keys, names)
  assert.equal(revisions.size, 1)
})
