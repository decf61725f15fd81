import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { EtcdError } from '../../src/core/errors.js'
import type { ResponseHeader } from '../../src/protobuf/generated/messages.js'
import type { Method } from '../../src/protobuf/method.js'
import { StreamCall } from '../../src/transport/connection/stream-call.js'
import { header } from '../support/fake-transport.js'

/** A stream with JSON as messages. */
function openStream() {
  const seen: (number | undefined)[] = []
  const received: unknown[] = []
  const owner = {
    url: 'http://m0',
    version: '3.5.30',
    dataBytes: undefined,
    streamEnded() {},
    streamAnswered({ clusterId, revision }: ResponseHeader): EtcdError | undefined {
      seen.push(revision)
      return clusterId === 'c1' ? undefined : new EtcdError('other', { code: 'CLUSTER_CHANGED', effect: 'none' })
    },
  }
  const method = { name: 'Test.Stream', path: '/test', decode: (bytes: Buffer) => JSON.parse(bytes.toString()) }
  const stream = new StreamCall<unknown, object>(owner, {
    method: method as unknown as Method<unknown, object>,
    metadata: {},
    purpose: 'call',
    listener: {
      onMessage: (response) => received.push(response),
      onEnd: (error) => received.push(error?.code),
      onDraining() {},
    },
  })
  const answer = (response: object): void => stream.onReceiveMessage(Buffer.from(JSON.stringify(response)))
  return { stream, answer, seen, received }
}

describe('A stream', () => {
  test('passes every header to its connection, also those of streamed ranges', () => {
    const { answer, seen, received } = openStream()
    answer({ header: header({ revision: 7 }) })
    answer({ rangeResponse: { kvs: [] } })
    answer({ rangeResponse: { header: header({ revision: 9 }) } })
    answer({ blob: '' })
    assert.deepEqual([seen, received.length], [[7, 9], 4])
  })

  test('ends with the first response of another cluster, which is not delivered', () => {
    const { answer, seen, received } = openStream()
    answer({ header: header({ revision: 7 }), TTL: 3 })
    answer({ header: header({ clusterId: 'c2', revision: 1 }), TTL: 0 })
    answer({ header: header({ revision: 8 }), TTL: 3 })
    assert.deepEqual([received.length, received[1], seen], [2, 'CLUSTER_CHANGED', [7, 1]])
  })
})
