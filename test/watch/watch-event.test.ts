import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { batchesOf, completeCount, WatchEvent } from '../../src/watch/watch-event.js'
import { keyValue, putEvent } from './fake-streams.js'

describe('Events of a response', () => {
  test('are grouped by revision, in order', () => {
    const events = [putEvent(5, 'a'), putEvent(5, 'b'), putEvent(7, 'a'), putEvent(8, 'c'), putEvent(8, 'd')]
    const batches = batchesOf(events, 0)
    assert.deepEqual(
      batches.map(({ revision, events: inside }) => [revision, inside.map(({ keyText }) => keyText)]),
      [
        [5, ['a', 'b']],
        [7, ['a']],
        [8, ['c', 'd']],
      ],
    )
  })

  test('are dropped below the first requested revision', () => {
    const batches = batchesOf([putEvent(5), putEvent(6), putEvent(7)], 6)
    assert.deepEqual(
      batches.map(({ revision }) => revision),
      [6, 7],
    )
  })

  test('have `created` for a new key, and `prevKv`', () => {
    const put = (createRevision: number, modRevision: number) =>
      new WatchEvent('put', keyValue({ createRevision, modRevision }), undefined)
    assert.deepEqual([put(5, 5).created, put(5, 6).created], [true, false])
    const prevKv = keyValue({ value: Buffer.from('old') })
    const gone = new WatchEvent('delete', keyValue({ modRevision: 9, name: 'gone' }), prevKv)
    assert.deepEqual(
      [gone.created, gone.revision, gone.keyText, gone.valueText, gone.prevKv?.valueText],
      [false, 9, 'gone', '', 'old'],
    )
  })

  test('are complete for all revisions but the last while more may follow', () => {
    assert.equal(completeCount([putEvent(5), putEvent(6), putEvent(7), putEvent(7)]), 2)
    assert.equal(completeCount([putEvent(7), putEvent(7)]), 0)
    assert.equal(completeCount([]), 0)
  })
})
