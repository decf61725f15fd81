import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import {
  covers,
  type EncodedRange,
  encodeRange,
  isOpenEnd,
  overlap,
  prefixEnd,
  successor,
} from '../../src/core/key-range.js'

/** Few different bytes, so that random keys often meet at borders. */
const bytes = (minLength: number) =>
  fc.array(fc.constantFrom(0, 1, 0x61, 0xff), { minLength, maxLength: 3 }).map((values): Buffer => Buffer.from(values))

function contains({ key, rangeEnd }: EncodedRange, candidate: Buffer): boolean {
  if (rangeEnd.length === 0) return candidate.equals(key)
  if (Buffer.compare(candidate, key) < 0) return false
  return isOpenEnd(rangeEnd) || Buffer.compare(candidate, rangeEnd) < 0
}

describe('Ranges of keys', () => {
  test('of a prefix contain exactly the keys that start with it', () => {
    const property = fc.property(bytes(0), bytes(1), (prefix, key) => {
      assert.equal(contains(encodeRange({ prefix }), key), key.subarray(0, prefix.length).equals(prefix))
    })
    fc.assert(property, { numRuns: 2000 })
  })

  test('from one key to another contain exactly the keys between them', () => {
    const property = fc.property(bytes(1), bytes(1), bytes(1), (from, to, key) => {
      fc.pre(Buffer.compare(from, to) < 0)
      const between = Buffer.compare(from, key) <= 0 && Buffer.compare(key, to) < 0
      assert.equal(contains(encodeRange({ from, to }), key), between)
      assert.equal(contains(encodeRange({ from }), key), Buffer.compare(from, key) <= 0)
    })
    fc.assert(property, { numRuns: 2000 })
  })

  test('with an empty start contain every key', () => {
    assert.deepEqual(encodeRange({ from: '' }), encodeRange({ prefix: '' }))
    assert.ok(contains(encodeRange({ from: '' }), Buffer.from([0])))
  })

  test('cover another range exactly if they contain all of its keys', () => {
    const range = fc.oneof(
      bytes(1),
      bytes(0).map((prefix) => ({ prefix })),
      bytes(0).map((from) => ({ from })),
    )
    const outer = bytes(0).map((prefix) => ({ prefix }))
    const property = fc.property(outer, range, bytes(1), (outer, inner, key) => {
      const encoded = { outer: encodeRange(outer), inner: encodeRange(inner) }
      if (!covers(encoded.outer, encoded.inner)) return
      assert.ok(!contains(encoded.inner, key) || contains(encoded.outer, key))
    })
    fc.assert(property, { numRuns: 3000 })
    assert.ok(covers(encodeRange({ prefix: '' }), encodeRange({ from: 'a' })))
    assert.ok(!covers(encodeRange({ prefix: 'a' }), encodeRange({ from: 'a' })))
    assert.ok(covers(encodeRange({ prefix: 'a' }), encodeRange({ from: 'a', to: 'b' })))
  })

  test('overlap exactly if they have a key in common', () => {
    const range = fc.oneof(
      bytes(1),
      bytes(0).map((prefix) => ({ prefix })),
      bytes(0).map((from) => ({ from })),
    )
    const property = fc.property(range, range, (one, other) => {
      const [first, second] = [encodeRange(one), encodeRange(other)]
      // Two ranges with a key in common have the beginning of one of them in common.
      const expected = contains(first, second.key) || contains(second, first.key)
      assert.equal(overlap(first, second), expected)
    })
    fc.assert(property, { numRuns: 3000 })
  })

  test('continue right after a key, and end right after a prefix', () => {
    const property = fc.property(bytes(1), bytes(1), (key, other) => {
      const next = successor(key)
      assert.ok(Buffer.compare(key, next) < 0)
      assert.ok(Buffer.compare(other, key) <= 0 || Buffer.compare(other, next) >= 0)
    })
    fc.assert(property, { numRuns: 1000 })
    assert.deepEqual(prefixEnd(Buffer.from([1, 0xff])), Buffer.from([2]))
    assert.deepEqual(prefixEnd(Buffer.from([0xff])), Buffer.from([0]))
  })
})
