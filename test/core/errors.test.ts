import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { CompactedError, copyOf, EtcdError, InvalidArgumentError, isEtcdError } from '../../src/core/errors.js'

/** The same module as another copy of the package in this process would have it. */
const copy: typeof import('../../src/core/errors.js') = await import(`../../src/core/errors.js?${'copy'}`)

describe('Errors', () => {
  const init = { code: 'NO_LEADER', effect: 'none' } as const

  test('have code, method and endpoint in their message', () => {
    const error = new EtcdError('no leader', { ...init, method: 'KV.Put', endpoint: 'http://a:1' })
    assert.equal(error.message, '[NO_LEADER] no leader (KV.Put at http://a:1)')
    assert.equal(error.rawMessage, 'no leader')
    assert.equal(new EtcdError('no leader', init).message, '[NO_LEADER] no leader')
    assert.deepEqual([error.retryable, error.attempts, error.cause], [false, 0, undefined])
    const anonymous = new EtcdError('user name is empty', { code: 'USER_EMPTY', effect: 'none' })
    assert.match(anonymous.message, /user name is empty: set the option `auth`, or use a client certificate$/)
  })

  test('are recognized by class and code across copies of the package', () => {
    assert.notEqual(copy.EtcdError, EtcdError)
    for (const { EtcdError: Class, CompactedError: Compacted, InvalidArgumentError: Invalid } of [
      { EtcdError, CompactedError, InvalidArgumentError },
      copy,
    ]) {
      const plain = new Class('x', init)
      const compacted = new Compacted('x', { effect: 'none', compactRevision: 5 })
      const invalid = new Invalid('x')
      assert.deepEqual(
        [plain, compacted, invalid].map((error) => error instanceof EtcdError),
        [true, true, true],
      )
      assert.deepEqual(
        [plain, compacted, invalid].map((error) => error instanceof CompactedError),
        [false, true, false],
      )
      assert.ok(isEtcdError(compacted, 'COMPACTED') && !isEtcdError(plain, 'COMPACTED'))
      assert.ok(isEtcdError(invalid, 'INVALID_ARGUMENT') && invalid instanceof TypeError)
    }
  })

  test('have all fields of their type', () => {
    const fields = ['code', 'effect', 'retryable', 'endpoint', 'method', 'attempts', 'grpcCode', 'rawMessage']
    const invalid: EtcdError = new InvalidArgumentError('`key` must be text')
    for (const error of [new EtcdError('x', init), invalid, copyOf(invalid), new copy.InvalidArgumentError('x')]) {
      assert.ok(isEtcdError(error) && fields.every((field) => field in error))
    }
    assert.equal(invalid.rawMessage, '`key` must be text')
    // As of a version of the package that has other fields.
    const brand = Object.getOwnPropertySymbols(invalid).find(({ description }) => description === 'etcdkit.error')
    assert.ok(brand !== undefined)
    const older = Object.assign(new TypeError('x'), { code: 'INVALID_ARGUMENT', [brand]: true })
    assert.ok(!isEtcdError(older) && !((older as unknown) instanceof EtcdError))
    assert.equal(isEtcdError({ ...new EtcdError('x', init), [brand]: true }), false, 'no error')
  })

  test('are copied with their class and all fields', () => {
    const error = new CompactedError('gone', { effect: 'none', compactRevision: 5, method: 'KV.Range', attempts: 2 })
    const copied = copyOf(error)
    assert.ok(copied !== error && isEtcdError(copied, 'COMPACTED') && copied instanceof CompactedError)
    assert.deepEqual({ ...copied }, { ...error })
    assert.deepEqual([copied.message, copied.compactRevision], [error.message, 5])
    assert.equal(Object.getPrototypeOf(copied), CompactedError.prototype)
    assert.ok(copied.stack?.startsWith('CompactedError: [COMPACTED] gone (KV.Range)\n    at '))
    assert.notEqual(copied.stack, error.stack)
  })

  test('are distinguished from other thrown values', () => {
    for (const value of [undefined, null, 'NO_LEADER', { code: 'NO_LEADER' }, new Error('x'), new TypeError('x')]) {
      assert.equal(isEtcdError(value), false)
      assert.equal((value as unknown) instanceof EtcdError, false)
    }
  })
})
