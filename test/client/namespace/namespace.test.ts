import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { addPrefix, rangeInNamespace, stripPrefix } from '../../../src/client/namespace/namespace-range.js'
import { type EncodedRange, encodeRange, isOpenEnd, type KeyRange } from '../../../src/core/key-range.js'

/** Few different bytes, so that random keys often meet at borders. */
const byte = fc.constantFrom(0, 1, 0x61, 0xfe, 0xff)
const bytes = (minLength: number) =>
  fc.array(byte, { minLength, maxLength: 4 }).map((values): Buffer => Buffer.from(values))
const prefixes = fc.oneof(bytes(1), fc.constantFrom(Buffer.from([0xff]), Buffer.from([0xff, 0xff]), Buffer.from([0])))
const keys = bytes(1)

/** Every range that callers can write. */
const ranges: fc.Arbitrary<KeyRange> = fc.oneof(
  keys,
  keys.map((key) => ({ key })),
  bytes(0).map((prefix) => ({ prefix })),
  bytes(0).map((from) => ({ from })),
  fc
    .tuple(bytes(0), keys)
    .filter(([from, to]) => Buffer.compare(from.length === 0 ? Buffer.from([0]) : from, to) < 0)
    .map(([from, to]) => ({ from, to })),
)

/** Whether etcd takes a key for part of a range. */
function contains({ key, rangeEnd }: EncodedRange, candidate: Buffer): boolean {
  if (rangeEnd.length === 0) return candidate.equals(key)
  if (Buffer.compare(candidate, key) < 0) return false
  return isOpenEnd(rangeEnd) || Buffer.compare(candidate, rangeEnd) < 0
}

function startsWith(key: Buffer, prefix: Buffer): boolean {
  return key.subarray(0, prefix.length).equals(prefix)
}

describe('A namespace', () => {
  test('adds its prefix to a key and removes it again', () => {
    fc.assert(
      fc.property(prefixes, keys, (prefix, key) => {
        const whole = addPrefix(prefix, key)
        assert.ok(startsWith(whole, prefix))
        assert.deepEqual(stripPrefix(prefix, whole), key)
      }),
    )
  })

  test('has no range that contains a key outside of it', () => {
    const property = fc.property(prefixes, ranges, bytes(1), (prefix, range, candidate) => {
      fc.pre(!startsWith(candidate, prefix))
      assert.ok(!contains(rangeInNamespace(prefix, encodeRange(range)), candidate))
    })
    fc.assert(property, { numRuns: 2000 })
  })

  test('has the same keys in a range as the range itself', () => {
    const property = fc.property(prefixes, ranges, keys, (prefix, range, key) => {
      const encoded = encodeRange(range)
      assert.equal(contains(rangeInNamespace(prefix, encoded), addPrefix(prefix, key)), contains(encoded, key))
    })
    fc.assert(property, { numRuns: 2000 })
  })

  test('within another one equals a namespace with both prefixes', () => {
    const property = fc.property(prefixes, prefixes, ranges, keys, (outer, inner, range, key) => {
      const encoded = encodeRange(range)
      const nested = rangeInNamespace(outer, rangeInNamespace(inner, encoded))
      const whole = rangeInNamespace(Buffer.concat([outer, inner]), encoded)
      const candidate = Buffer.concat([outer, inner, key])
      assert.equal(contains(nested, candidate), contains(whole, candidate))
    })
    fc.assert(property, { numRuns: 2000 })
  })

  test('ends an open range at its last key, and leaves it open if no key can follow', () => {
    const open = { key: Buffer.from('a'), rangeEnd: Buffer.from([0]) }
    const ends: [number[], number[]][] = [
      [[0x61], [0x62]],
      [[0x61, 0xff], [0x62]],
      [[0x61, 0xff, 0xff], [0x62]],
      [[0xfe, 0xff], [0xff]],
      [[0xff], [0]],
      [[0xff, 0xff], [0]],
      [[0], [1]],
    ]
    for (const [prefix, expected] of ends) {
      assert.deepEqual(rangeInNamespace(Buffer.from(prefix), open).rangeEnd, Buffer.from(expected))
    }
  })
})
