import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { Probe } from '../../src/informer/probe.js'
import { FakeSource } from './fake-source.js'
import { kvOf } from './fixtures.js'

/** A probe of an informer that shows one key at revision 7; the cluster is at revision 12. */
function createProbe() {
  const source = new FakeSource()
  source.answer = { kvs: [kvOf('a', '1', 7)], count: 1, revision: 12 }
  const shown = { revision: 7, keyCount: 1, isCurrent: true }
  return { source, shown, probe: new Probe(source, 'a', () => shown) }
}

describe('A probe', () => {
  test('returns the revision up to which nothing has happened, by one read at a time', async () => {
    const { source, probe } = createProbe()
    assert.deepEqual(await Promise.all([probe.run(), probe.run()]), [12, 12])
    assert.equal(source.reads, 1)
    source.answer.revision = 13
    assert.equal(await probe.run(), 13)
  })

  test('compares with what the informer shows after the read', async () => {
    const { shown, source, probe } = createProbe()
    source.answer.kvs = [kvOf('a', '2', 9)]
    const run = probe.run()
    shown.revision = 9
    assert.equal(await run, 12)
  })

  test('finds nothing out while the history of the cluster is another one', async () => {
    const { shown, source, probe } = createProbe()
    const run = probe.run()
    shown.isCurrent = false
    assert.equal(await run, undefined)
    assert.deepEqual([await probe.run(), source.reads], [undefined, 1])
  })
})
