import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { baseFlags, flagArguments } from '../../src/testing/member-flags.js'
import { sumMetric } from '../../src/testing/metrics.js'

describe('flagArguments()', () => {
  test('writes flags with their values and omits undefined ones', () => {
    assert.deepEqual(flagArguments({ name: 'm0', 'max-txn-ops': 5, 'pre-vote': false, gone: undefined }, '3.5.30'), [
      '--name=m0',
      '--max-txn-ops=5',
      '--pre-vote=false',
    ])
  })

  test('uses the name that the version knows, whichever is given', () => {
    const name = 'watch-progress-notify-interval'
    for (const given of [name, `experimental-${name}`]) {
      assert.deepEqual(flagArguments({ [given]: '1s' }, '3.5.30'), [`--experimental-${name}=1s`])
      assert.deepEqual(flagArguments({ [given]: '1s' }, '3.6.0'), [`--${name}=1s`])
    }
  })

  test('turns feature gates into the flags that preceded them', () => {
    const flags = { 'feature-gates': 'LeaseCheckpoint=true,InitialCorruptCheck=false' }
    assert.deepEqual(flagArguments(flags, '3.5.30'), [
      '--experimental-enable-lease-checkpoint=true',
      '--experimental-initial-corrupt-check=false',
    ])
    assert.deepEqual(flagArguments(flags, '3.6.0'), ['--feature-gates=LeaseCheckpoint=true,InitialCorruptCheck=false'])
    assert.throws(() => flagArguments({ 'feature-gates': 'Nonsense=true' }, '3.5.30'), TypeError)
  })

  test('uses fast elections only on request', () => {
    assert.equal(baseFlags('fast')['election-timeout'], 500)
    assert.equal(baseFlags('default')['election-timeout'], undefined)
  })
})

describe('sumMetric()', () => {
  const text = [
    '# HELP calls_total counts',
    'calls_total{code="OK",method="Range"} 3',
    'calls_total{code="OK",method="Put"} 4e+01',
    'calls_total{code="Unknown",method="Put"} 500',
    'calls_total_created 7',
    'odd{label="a \\"quoted\\" {brace}\\n"} 1',
    'plain 2.5 1700000000000',
  ].join('\n')

  test('adds up the samples of one name', () => {
    assert.equal(sumMetric(text, 'calls_total'), 543)
    assert.equal(sumMetric(text, 'plain'), 2.5)
    assert.equal(sumMetric(text, 'calls'), 0)
  })

  test('counts only samples with all the labels', () => {
    assert.equal(sumMetric(text, 'calls_total', { code: 'OK' }), 43)
    assert.equal(sumMetric(text, 'calls_total', { code: 'OK', method: 'Put' }), 40)
    assert.equal(sumMetric(text, 'calls_total', { zone: 'a' }), 0)
    assert.equal(sumMetric(text, 'odd', { label: 'a "quoted" {brace}\n' }), 1)
  })
})
