import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { encodeRange, type KeyRange } from '../../src/core/key-range.js'
import { type ReadPolicy, ReadPolicyTable } from '../../src/core/read-policy.js'

describe('The table of read policies', () => {
  const table = new ReadPolicyTable({
    default: { mode: 'serializable', prefer: 'nearest' },
    rules: [
      { prefix: 'a', mode: 'linearizable', prefer: 'leader', fallback: 'serializable' },
      { prefix: 'ab', prefer: 'learner' },
      { prefix: Buffer.from([0xff]), mode: 'linearizable' },
    ],
  })
  const resolve = (range: KeyRange, own?: ReadPolicy) => Object.values(table.resolve(encodeRange(range), own))

  test('uses the longest rule that covers the whole range, in any order', () => {
    assert.deepEqual(resolve('x'), ['serializable', 'nearest', undefined])
    assert.deepEqual(resolve('a'), ['linearizable', 'leader', 'serializable'])
    assert.deepEqual(resolve('abc'), ['serializable', 'learner', undefined])
    assert.deepEqual(resolve({ prefix: 'a' }), ['linearizable', 'leader', 'serializable'])
    assert.deepEqual(resolve({ from: 'a', to: 'b' }), ['linearizable', 'leader', 'serializable'])
    assert.deepEqual(resolve({ from: 'aa', to: 'abc' }), ['linearizable', 'leader', 'serializable'])
    assert.deepEqual(resolve({ from: 'a', to: 'b\0' }), ['serializable', 'nearest', undefined])
    assert.deepEqual(resolve({ from: 'ab' }), ['serializable', 'nearest', undefined])
    assert.deepEqual(resolve({ prefix: '' }), ['serializable', 'nearest', undefined])
  })

  test('accepts a rule for the last possible keys', () => {
    assert.equal(resolve({ from: Buffer.from([0xff, 1]) })[0], 'linearizable')
    assert.equal(resolve(Buffer.from([0xff]))[0], 'linearizable')
    assert.equal(resolve({ from: Buffer.from([0xfe]) })[0], 'serializable')
  })

  test("puts the call's own options before those of the rule, one by one", () => {
    assert.deepEqual(resolve('a', { prefer: 'nearest' }), ['linearizable', 'nearest', 'serializable'])
    assert.deepEqual(resolve('a', { mode: 'serializable' }), ['serializable', 'leader', undefined])
    assert.deepEqual(resolve('a', { mode: 'linearizable' }), ['linearizable', 'leader', undefined])
    assert.deepEqual(resolve('x', { mode: 'linearizable', fallback: 'serializable' }), [
      'linearizable',
      'nearest',
      'serializable',
    ])
  })

  test('is linearizable by default', () => {
    const empty = new ReadPolicyTable({})
    const expected = { mode: 'linearizable', prefer: undefined, fallback: undefined }
    assert.deepEqual(empty.resolve(encodeRange('a'), undefined), expected)
    assert.deepEqual([empty.plain, table.plain], [expected, undefined])
  })
})
