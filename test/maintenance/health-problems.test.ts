import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { EtcdError } from '../../src/core/errors.js'
import type { MemberHealth } from '../../src/maintenance/health.js'
import { problemsOf } from '../../src/maintenance/health-problems.js'

const sick = (error: unknown): MemberHealth => ({ endpoint: 'http://m0', isHealthy: false, error }) as MemberHealth

describe('The problems of a cluster', () => {
  test('name the members that do not serve, with the code of an EtcdError or the message of another error', () => {
    const refused = new EtcdError('refused', { code: 'NOT_CONNECTED', effect: 'none', endpoint: 'http://m0' })
    const members = [sick(refused), sick(new Error('broken')), sick('text')]
    assert.deepEqual(problemsOf(members, { alarms: [], error: new Error('unread') }, true), [
      'http://m0 does not serve: NOT_CONNECTED, refused',
      'http://m0 does not serve: broken',
      'http://m0 does not serve: text',
      'the alarms cannot be read: unread',
    ])
  })
})
