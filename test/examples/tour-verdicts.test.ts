import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { trafficVerdict, type Write } from '../../examples/tour/leader-killed.js'
import { listingVerdict } from '../../examples/tour/listing.js'
import { shareVerdict } from '../../examples/tour/member-back.js'
import { spreadVerdict } from '../../examples/tour/spread.js'
import { runScript } from '../support/child.js'

const loaded = Array.from({ length: 10_000 }, (_, index) => `tour/list/${String(index).padStart(5, '0')}=original`)

function written(outcome: Write['outcome']): Write {
  return { key: 'key', outcome, code: undefined }
}

describe('A section of the tour', () => {
  test('passes if the members served the calls evenly, each once', () => {
    assert.equal(spreadVerdict([1000, 1000, 1000], 2).holds, true)
    assert.equal(spreadVerdict([1001, 1000, 999], 2).text, '3,000 reads over 3 members, at most 2 apart, 1,500/s')
    assert.equal(spreadVerdict([1500, 1500, 0], 2).holds, false)
    assert.equal(spreadVerdict([1000, 1000, 1001], 2).holds, false)
    assert.equal(spreadVerdict([1000, 1000, 999], 2).holds, false)
  })

  test('passes if a listing under changes equals the loaded keys at one revision', () => {
    assert.equal(listingVerdict(loaded, 1, 100).holds, true)
    assert.equal(listingVerdict(loaded, 2, 100).holds, false)
    assert.equal(listingVerdict(loaded, 1, 0).holds, false)
    assert.equal(listingVerdict(loaded.slice(1), 1, 100).text, '9,999 keys: 1 missing, 0 too many or changed')
    assert.equal(listingVerdict(loaded.slice(1), 1, 100).holds, false)
    assert.equal(listingVerdict([...loaded, 'tour/list/00000/added=new'], 1, 100).holds, false)
    const changed = listingVerdict(['tour/list/00000=overwritten', ...loaded.slice(1)], 1, 100)
    assert.deepEqual(changed, { holds: false, text: '10,000 keys: 1 missing, 1 too many or changed' })
    assert.equal(listingVerdict([...loaded.slice(1), ...loaded.slice(-1)], 1, 100).holds, false)
  })

  test('passes if no read failed and each write was applied or not as reported', () => {
    const there = new Set(['key'])
    const none = new Set<string>()
    const holds = (write: Write, stored: ReadonlySet<string>) =>
      trafficVerdict({ reads: 1, failedReads: [], writes: [write] }, stored).holds
    assert.equal(holds(written('acknowledged'), there), true)
    assert.equal(holds(written('acknowledged'), none), false)
    assert.equal(holds(written('none'), none), true)
    assert.equal(holds(written('none'), there), false)
    assert.equal(holds(written('unknown'), none), true)
    assert.equal(holds(written('unknown'), there), true)
    const writes = [written('acknowledged')]
    assert.equal(trafficVerdict({ reads: 9, failedReads: [new Error('no')], writes }, there).holds, false)
    assert.equal(trafficVerdict({ reads: 0, failedReads: [], writes }, there).holds, false)
    assert.equal(trafficVerdict({ reads: 9, failedReads: [], writes: [] }, none).holds, false)
  })

  test('passes if the restarted member serves its share', () => {
    assert.deepEqual(shareVerdict('m1', 300, 3), { holds: true, text: 'm1 served 300 of the next 900 reads' })
    assert.equal(shareVerdict('m1', 0, 3).holds, false)
    assert.equal(shareVerdict('m1', 450, 3).holds, false)
  })

  test('sets exit code 1 if it fails', async () => {
    const tourOf = (holds: boolean) => `
      import { Screen } from './examples/tour/screen.js'
      import { section } from './examples/tour/section.js'
      await section(new Screen(), 'Title', async () => ({ holds: ${holds}, text: 'text' }))
      await section(new Screen(), 'Next', async () => ({ holds: true, text: 'text' }))`
    const [right, wrong] = await Promise.all([runScript(tourOf(true)), runScript(tourOf(false))])
    assert.deepEqual(right, { code: 0, stdout: '\nTitle\n  ✓ text\n\nNext\n  ✓ text\n', stderr: '' })
    assert.deepEqual(wrong, { code: 1, stdout: '\nTitle\n  ✗ text\n\nNext\n  ✓ text\n', stderr: '' })
  })
})
