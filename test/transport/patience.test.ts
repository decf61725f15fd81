import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Patience } from '../../src/transport/connection/patience.js'

test('The patience of a client doubles with each unresponsive member, and halves with each answer', () => {
  const patience = new Patience()
  patience.answered()
  assert.equal(patience.factor, 1)
  for (const expected of [2, 4, 8, 16, 16]) {
    patience.exhausted()
    assert.equal(patience.factor, expected)
  }
  for (const expected of [8, 4, 2, 1, 1]) {
    patience.answered()
    assert.equal(patience.factor, expected)
  }
})
