import assert from 'node:assert/strict'
import { test } from 'node:test'
import { roundTicks } from '../../src/cli/chart.js'
import { cellOf } from '../../src/cli/key-value-format.js'
import { plainStyle } from '../../src/cli/style.js'
import { renderTable } from '../../src/cli/table.js'
import { durationFlagMs, formatBytes, formatMs, integerFlag, ttlFlagSeconds } from '../../src/cli/units.js'

test('Sizes and times are formatted for people', () => {
  const sizes = [0, 1, 1023, 1024, 1536, 2 ** 21, 8 * 2 ** 30]
  assert.deepEqual(sizes.map(formatBytes), ['0 B', '1 B', '1,023 B', '1 KiB', '1.5 KiB', '2 MiB', '8 GiB'])
  const times = [0, 0.123, 2.34, 56.7, 1234, 61_000, 3_660_000, 90_000_000]
  assert.deepEqual(times.map(formatMs), [
    '0 ms',
    '0.12 ms',
    '2.3 ms',
    '57 ms',
    '1.2 s',
    '1 m 1 s',
    '1 h 1 m',
    '1 d 1 h',
  ])
})

test('Durations are seconds, or have a unit', () => {
  assert.deepEqual(
    ['5', '0.5', '5s', '1m30s', '20ms'].map((text) => durationFlagMs('x', text)),
    [5000, 500, 5000, 90_000, 20],
  )
  assert.equal(ttlFlagSeconds('ttl', '1500ms'), 2)
  assert.throws(() => durationFlagMs('ttl', '-1s'), /--ttl must be a duration such as 5s/)
  assert.throws(() => integerFlag('limit', '1.5'), /--limit must be a whole number/)
})

test('A table has columns as wide as their content', () => {
  const rows = [
    ['a', '1'],
    ['longer', '10'],
  ]
  assert.deepEqual(renderTable([{ title: 'NAME' }, { title: 'N', align: 'right' }], rows, plainStyle), [
    'NAME     N',
    'a        1',
    'longer  10',
  ])
})

test('Bytes in a cell stay on one line', () => {
  assert.equal(cellOf(Buffer.from('a b/ü')), 'a b/ü')
  assert.equal(cellOf(Buffer.from('a\n')), '"a\\n"')
  assert.equal(cellOf(Buffer.from('')), '""')
  assert.equal(cellOf(Buffer.from([255, 0])), '0xff00')
  assert.equal(cellOf(Buffer.from('x'.repeat(100)), 10), 'xxxxxxxxx…')
})

test('An axis has round marks up to the greatest value', () => {
  assert.deepEqual(roundTicks(70), [0, 20, 40, 60, 80])
  assert.deepEqual(roundTicks(0.03), [0, 0.01, 0.02, 0.03])
  assert.deepEqual(roundTicks(0), [0, 1])
})

test('A table can have more rows than a function can have arguments', () => {
  const rows = Array.from({ length: 200_000 }, (_, index) => [String(index)])
  assert.equal(renderTable([{ title: 'N' }], rows, plainStyle).length, 200_001)
})
