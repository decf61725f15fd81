import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { EtcdError } from '../../src/core/errors.js'
import type { ResponseHeader } from '../../src/protobuf/generated/messages.js'
import type { StreamMethod } from '../../src/protobuf/method.js'
import type { StreamChannel } from '../../src/transport/channel.js'
import { StreamCall } from '../../src/transport/connection/stream-call.js'
import { header } from '../support/fake-transport.js'

/** The parts of an array; `null` cannot be decoded. */
function partsOf(message: unknown): Iterator<object, undefined> | undefined {
  return Array.isArray(message) ? decodedParts(message) : undefined
}

function* decodedParts(parts: readonly (object | null)[]): Generator<object, undefined> {
  for (const part of parts) {
    if (part === null) throw new EtcdError('damaged', { code: 'PROTOCOL_ERROR', effect: 'unknown' })
    yield part
  }
}

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
  const decode = (bytes: Buffer) => JSON.parse(bytes.toString())
  const method = { name: 'Test.Stream', path: '/test', decode, parts: (bytes: Buffer) => partsOf(decode(bytes)) }
  const stream = new StreamCall<unknown, object>(owner, {
    method: method as unknown as StreamMethod<unknown, object>,
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

  test('delivers a message in parts one in each turn of the event loop, and reads the next message after the last', async () => {
    const { stream, answer, received } = openStream()
    let reads = 0
    const channel = { startStream: () => ({ startRead: () => (reads += 1), cancelWithStatus() {} }) }
    stream.start(channel as unknown as StreamChannel, {})
    answer([{ a: 1 }, { a: 2 }, { a: 3 }])
    assert.deepEqual([received, reads], [[{ a: 1 }], 1])
    await nextTurn()
    assert.deepEqual([received.length, reads], [2, 1])
    await nextTurn()
    await nextTurn()
    assert.deepEqual([received, reads], [[{ a: 1 }, { a: 2 }, { a: 3 }], 2])
  })

  test('reads no further message while it is paused', () => {
    const { stream, answer, received } = openStream()
    let reads = 0
    const channel = { startStream: () => ({ startRead: () => (reads += 1), cancelWithStatus() {} }) }
    stream.start(channel as unknown as StreamChannel, {})
    stream.pause()
    answer({ a: 1 })
    assert.deepEqual([received, reads], [[{ a: 1 }], 1])
    stream.resume()
    assert.equal(reads, 2)
  })

  test('delivers no part while it is paused, and none after it was cancelled', async () => {
    const { stream, answer, received } = openStream()
    answer([{ a: 1 }, { a: 2 }, { a: 3 }])
    stream.pause()
    await nextTurn()
    await nextTurn()
    assert.equal(received.length, 1)
    stream.resume()
    await nextTurn()
    assert.equal(received.length, 2)
    stream.cancel()
    await nextTurn()
    await nextTurn()
    assert.equal(received.length, 2)
  })

  test('ends with a part that cannot be decoded, after the parts before it', async () => {
    const { answer, received } = openStream()
    answer([{ a: 1 }, null, { a: 3 }])
    await nextTurn()
    await nextTurn()
    assert.deepEqual(received, [{ a: 1 }, 'PROTOCOL_ERROR'])
  })
})

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
