import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import {
  compareVersions,
  exactVersion,
  fitsRequest,
  isFreshEnough,
  parseVersionRequest,
  requestedSeries,
} from '../../src/testing/etcd-version.js'

describe('A version request', () => {
  test('is any version, a series or an exact version', () => {
    assert.deepEqual(parseVersionRequest(undefined), { kind: 'any' })
    assert.deepEqual(parseVersionRequest(''), { kind: 'any' })
    assert.deepEqual(parseVersionRequest('3.5'), { kind: 'series', series: '3.5' })
    assert.deepEqual(parseVersionRequest('v3.5.16'), { kind: 'exact', version: '3.5.16' })
    assert.throws(() => parseVersionRequest('latest'), TypeError)
  })

  test('names the exact release to download', () => {
    const exact = (text?: string) => exactVersion(parseVersionRequest(text))
    assert.deepEqual(['3.4', '3.5', '3.5.16', undefined, '3.1'].map(exact), [
      '3.4.23',
      '3.5.30',
      '3.5.16',
      '3.5.30',
      undefined,
    ])
    assert.equal(requestedSeries(parseVersionRequest('3.6.2')), '3.6')
  })

  test('fits any patch release of its series, and 3.4 or newer when it is empty', () => {
    const fits = (version: string, text?: string) => fitsRequest(version, parseVersionRequest(text))
    assert.ok(fits('3.5.1', '3.5') && fits('3.10.0', '3.10') && fits('3.7.0') && fits('3.4.0'))
    assert.ok(!fits('3.10.0', '3.1') && !fits('3.5.1', '3.5.16') && !fits('3.3.27'))
  })

  test('is not answered from the cache by an old patch release or another series than the default', () => {
    const fresh = (version: string, text?: string) => isFreshEnough(version, parseVersionRequest(text))
    assert.ok(fresh('3.5.30', '3.5') && fresh('3.5.31', '3.5') && fresh('3.5.16', '3.5.16') && fresh('3.5.30'))
    assert.ok(!fresh('3.5.16', '3.5') && !fresh('3.4.23') && !fresh('3.7.3'))
  })

  test('is compared by number', () => {
    assert.ok(compareVersions('3.10.0', '3.9.9') > 0)
    assert.ok(compareVersions('3.5.9', '3.5.30') < 0)
    assert.equal(compareVersions('3.5.9', '3.5.9'), 0)
  })
})
