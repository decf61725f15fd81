import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { Etcd } from '../../src/index.js'
import { runScript } from '../support/child.js'
import { startCluster } from '../support/cluster.js'
import { fill } from '../support/fixtures.js'

const keyCount = 100_000
const maxGrowthBytes = 40_000_000

test('A listing of 100,000 keys that change meanwhile keeps no more than two pages in memory', async (t) => {
  const cluster = await startCluster(t)
  await using etcd = new Etcd({ endpoints: cluster.endpoints, maxRangeKeys: 2 * keyCount })
  const kv = etcd.namespace('many/')
  await fill(kv, keyCount, Buffer.alloc(400, 'x'))

  let listed = false
  const change = async (): Promise<void> => {
    for (let changes = 0; !listed; changes += 1) {
      await kv.put(`new/${changes}`, '')
      await kv.delete(String(keyCount - 1 - changes).padStart(6, '0'))
    }
  }
  const source = `
    import { createHash } from 'node:crypto'
    import { Etcd } from './src/index.ts'
    const etcd = new Etcd({ endpoints: '${cluster.endpoints[0]}' })
    const listing = etcd.namespace('many/').list({ prefix: '' })
    await etcd.connect()
    const inMemory = () => {
      gc()
      const { heapUsed, arrayBuffers } = process.memoryUsage()
      return heapUsed + arrayBuffers
    }
    const before = inMemory()
    const names = createHash('sha256')
    let [growth, revision] = [0, undefined]
    for await (const page of listing.pages()) {
      for (const { key } of page.kvs) names.update(key)
      revision ??= page.revision
      if (page.revision !== revision) throw new Error('the revision changed')
      growth = Math.max(growth, inMemory() - before)
    }
    await etcd.close()
    console.log(JSON.stringify({ growth, revision, names: names.digest('hex') }))
  `
  const running = runScript(source, { NODE_OPTIONS: '--expose-gc' })
  const changing = change()
  const { code, stdout, stderr } = await running
  listed = true
  await changing
  assert.deepEqual({ code, stderr }, { code: 0, stderr: '' })
  const { growth, revision, names } = JSON.parse(stdout)
  t.diagnostic(`the heap grew by ${(growth / 1e6).toFixed(1)} MB over ${keyCount} keys`)
  assert.ok(growth < maxGrowthBytes, `the heap grew by ${growth} bytes`)
  const { kvs } = await kv.range({ prefix: '' }, { revision, keysOnly: true })
  const expected = createHash('sha256')
  for (const { key } of kvs) expected.update(key)
  assert.equal(names, expected.digest('hex'), `${kvs.length} keys at revision ${revision}`)
  assert.notEqual(await kv.count({ prefix: 'new/' }), 0)
})
