import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { methods } from '../../src/protobuf/methods.js'
import { isBlockingCall, noStreamSlot, type StreamPurpose, StreamSlots } from '../../src/transport/stream-slots.js'

const purposes: readonly StreamPurpose[] = ['keep-alive', 'watch', 'call', 'slow watch']

/** The purposes for which there is a slot. */
function allowed(maxStreams: number, unarySlots: number, ...taken: readonly StreamPurpose[]): readonly StreamPurpose[] {
  const slots = new StreamSlots({ maxStreams, unarySlots }, { streamPurposes: taken, blockingCalls: 0 })
  return purposes.filter((purpose) => slots.has(purpose))
}

describe('Stream slots', () => {
  test('are unlimited if the member sets no limit', () => {
    const many = Array.from({ length: 1000 }, (): StreamPurpose => 'slow watch')
    assert.deepEqual(allowed(Number.POSITIVE_INFINITY, 1, ...many), purposes)
  })

  test('are reserved for keep-alives first, then for watches', () => {
    assert.deepEqual(allowed(1, 0), ['keep-alive'])
    assert.deepEqual(allowed(2, 0), ['keep-alive', 'watch', 'call'])
    assert.deepEqual(allowed(2, 0, 'call'), ['keep-alive'])
    assert.deepEqual(allowed(2, 0, 'watch'), ['keep-alive'])
    assert.deepEqual(allowed(4, 0, 'call', 'call'), ['keep-alive', 'watch'])
  })

  test('are reserved for unary calls that share the connection', () => {
    assert.deepEqual(allowed(1, 1), [])
    assert.deepEqual(allowed(4, 1, 'keep-alive', 'watch'), ['keep-alive', 'watch', 'call'])
    assert.deepEqual(allowed(4, 1, 'keep-alive', 'watch', 'call'), [])
  })

  test('are given to slow watches if keep-alives keep all they may need', () => {
    assert.deepEqual(allowed(4, 0), ['keep-alive', 'watch', 'call'])
    assert.deepEqual(allowed(6, 0, 'slow watch'), ['keep-alive', 'watch', 'call', 'slow watch'])
    assert.deepEqual(allowed(6, 0, 'slow watch', 'slow watch'), ['keep-alive', 'watch', 'call'])
  })

  test('are left for other calls by unary calls that block', () => {
    const has = (unarySlots: number, blockingCalls: number): boolean =>
      new StreamSlots({ maxStreams: 4, unarySlots }, { streamPurposes: [], blockingCalls }).hasForBlockingCall
    assert.deepEqual([has(0, 2), has(0, 3)], [true, false])
    assert.deepEqual([has(1, 0), has(1, 1)], [true, false])
    const all = Object.values(methods).flatMap((service) => Object.values(service))
    assert.deepEqual(
      all.filter(isBlockingCall).map(({ name }) => name),
      ['Lock.Lock', 'Election.Campaign'],
    )
  })

  test('that are used up fail with the limit in the error', () => {
    const error = noStreamSlot(
      new StreamSlots({ maxStreams: 1, unarySlots: 1 }, { streamPurposes: [], blockingCalls: 0 }),
      'watch',
      'http://a:2379',
    )
    assert.equal(error.code, 'STREAM_LIMIT')
    assert.match(error.message, /the member allows 1 stream on a connection \(--max-concurrent-streams\)/)
  })
})
