import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { type ErrorCode, EtcdError } from '../../src/core/errors.js'
import { RangeStreamSource } from '../../src/streams/range-streams.js'
import type { StreamSource } from '../../src/streams/stream-source.js'
import type { StreamListener } from '../../src/transport/connection/stream-call.js'
import { collect } from '../support/fixtures.js'

/** A source whose members end every stream with this error, and the members that were asked. */
function refusing(code: ErrorCode): { readonly source: RangeStreamSource; readonly asked: unknown[] } {
  const asked: unknown[] = []
  const streams = {
    async open(_: unknown, listener: StreamListener<unknown>, { endpoint }: { readonly endpoint?: string }) {
      asked.push(endpoint)
      setImmediate(() => listener.onEnd(new EtcdError('no', { code, effect: 'none' })))
      const nothing = (): void => {}
      return { call: { send: nothing, endRequests: nothing, cancel: nothing, resume: nothing, pause: nothing } }
    },
    refused: () => false,
    hasPlace: () => true,
  }
  // Of a source it uses what is here.
  return { source: new RangeStreamSource(streams as unknown as StreamSource), asked }
}

describe('The range stream source', () => {
  const { signal } = new AbortController()

  for (const code of ['UNIMPLEMENTED', 'NOT_SUPPORTED_FOR_LEARNER'] as const) {
    test(`remembers only the member that answered ${code}`, async () => {
      const { source, asked } = refusing(code)
      assert.ok(source.serves('a'))
      await assert.rejects(collect(source.read({}, 'a', signal)), { code })
      assert.deepEqual([source.serves('a'), source.serves('b'), asked], [false, true, ['a']])
    })
  }

  test('tries the member again after any other failure', async () => {
    const { source } = refusing('CONNECTION_LOST')
    await assert.rejects(collect(source.read({}, 'a', signal)), { code: 'CONNECTION_LOST' })
    assert.ok(source.serves('a'))
  })
})
