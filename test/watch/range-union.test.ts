import assert from 'node:assert/strict'
import { test } from 'node:test'
import { encodeRange, type KeyRange } from '../../src/core/key-range.js'
import { coveringRange, disjointRanges, hasKey } from '../../src/watch/range-union.js'

function encoded(...ranges: readonly KeyRange[]): string[] {
  return disjointRanges(ranges.map(encodeRange)).map(({ key, rangeEnd }) => `${key} ${rangeEnd}`)
}

test('Ranges that overlap, touch or contain each other are joined, in key order', () => {
  const rest: KeyRange = { from: 'y' }
  assert.deepEqual(encoded('x', { prefix: 'b' }, 'a'), ['a ', 'b c', 'x '])
  assert.deepEqual(encoded({ prefix: 'b' }, 'ba', { from: 'b', to: 'bb' }), ['b c'])
  assert.deepEqual(encoded({ from: 'c', to: 'e' }, { from: 'b', to: 'd' }), ['b e'])
  assert.deepEqual(encoded({ prefix: 'b' }, { prefix: 'c' }), ['b d'])
  assert.deepEqual(encoded(rest, 'z', 'a'), ['a ', 'y \0'])
  assert.deepEqual(encoded('z', 'z\0'), ['z z\0\0'])
})

test('The covering range reaches from the first key to the last one', () => {
  const cover = (...ranges: readonly KeyRange[]): string => {
    const { key, rangeEnd } = coveringRange(disjointRanges(ranges.map(encodeRange)))
    return `${key} ${rangeEnd}`
  }
  assert.equal(cover('x', { prefix: 'b' }), 'b x\0')
  assert.equal(cover('a', { from: 'y' }), 'a \0')
})

test('A key belongs to a range that contains it', () => {
  const ranges = disjointRanges(['a', { from: 'c', to: 'e' }].map(encodeRange))
  const found = ['a', 'a\0', 'b', 'c', 'd', 'e'].filter((key) => hasKey(ranges, Buffer.from(key)))
  assert.deepEqual(found, ['a', 'c', 'd'])
})
