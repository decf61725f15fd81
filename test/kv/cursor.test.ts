import assert from 'node:assert/strict'
import { test } from 'node:test'
import { encodeRange } from '../../src/core/key-range.js'
import { decodeCursor, encodeCursor } from '../../src/kv/cursor.js'

test('A cursor belongs to one range: another end is another range', () => {
  const range = encodeRange({ from: 'a', to: 'c' })
  const position = { next: Buffer.from('b'), revision: 7 }
  const cursor = encodeCursor(range, position)
  assert.deepEqual(decodeCursor(cursor, range), position)
  for (const other of [
    { from: 'a', to: 'd' },
    { from: 'b', to: 'c' },
  ]) {
    assert.throws(() => decodeCursor(cursor, encodeRange(other)), { code: 'INVALID_CURSOR', message: /another range/ })
  }
})
