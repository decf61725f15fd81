import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hasReliableProgress } from '../../src/watch/progress-support.js'

const cases: readonly (readonly [version: string | undefined, isTrusted: boolean])[] = [
  ['3.4.30', false],
  ['3.4.31', true],
  ['3.4.100', true],
  ['3.5.12', false],
  ['3.5.13', true],
  ['3.5.30', true],
  ['3.6.0', true],
  ['3.6.0-rc.1', true],
  ['3.10.0', true],
  ['4.0.0', true],
  ['3.3.99', false],
  ['2.3.8', false],
  ['', false],
  ['unknown', false],
  [undefined, false],
]

for (const [version, isTrusted] of cases) {
  test(`Progress notifications of etcd ${version || 'of an unknown version'} are ${isTrusted ? '' : 'not '}reliable`, () => {
    assert.equal(hasReliableProgress(version), isTrusted)
  })
}
