import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { ObservedRevisions } from '../../src/maintenance/observed-revisions.js'

describe('The observed revisions of a compactor', () => {
  test('return the newest revision that is old enough, and never a younger one', () => {
    const seen = new ObservedRevisions()
    assert.equal(seen.olderThan(0, 1000), undefined)
    for (const [revision, at] of [
      [10, 0],
      [20, 100],
      [20, 150],
      [30, 200],
    ] as const)
      seen.add(revision, at)
    assert.equal(seen.olderThan(100, 99), undefined)
    assert.equal(seen.olderThan(100, 100), 10)
    assert.equal(seen.olderThan(100, 199), 10)
    assert.equal(seen.olderThan(100, 299), 20)
    assert.equal(seen.olderThan(100, 300), 30)
    assert.equal(seen.olderThan(100, 9000), 30)
  })

  test('are empty after the revision has decreased', () => {
    const seen = new ObservedRevisions()
    seen.add(1000, 0)
    seen.add(900, 10)
    assert.equal(seen.olderThan(50, 55), undefined)
    assert.equal(seen.olderThan(50, 60), 900)
    seen.clear()
    assert.equal(seen.olderThan(0, 9000), undefined)
  })
})
