import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { withNamespace } from '../../../src/client/namespace/namespace-kv.js'
import { namespaceRangeStreams } from '../../../src/client/namespace/namespace-range-streams.js'
import { namespaceWatch } from '../../../src/client/namespace/namespace-watch.js'
import { encodeRange } from '../../../src/core/key-range.js'
import type { KvService } from '../../../src/kv/kv-service.js'
import type { TxnRequest } from '../../../src/protobuf/generated/messages.js'
import { callContext } from '../../../src/transport/transport.js'
import { batchOf, kvOf } from '../../informer/fixtures.js'

const prefix = Buffer.from('p/')
const context = callContext({}, {})

/** A service that records its requests, and answers each with the keys `p/a`, as a member does. */
function service() {
  const requests: Record<string, unknown>[] = []
  const ranged = () => ({ header: undefined, kvs: [kvOf('p/a', '', 1)], more: false, count: 1 })
  const put = () => ({ header: undefined, prevKv: kvOf('p/a', '', 1) })
  const deleted = () => ({ header: undefined, deleted: 1, prevKvs: [kvOf('p/a', '', 1)] })
  const all = (nested: unknown) => [
    { responseRange: ranged() },
    { responsePut: put() },
    { responseDeleteRange: deleted() },
    { responseTxn: nested },
  ]
  const txn = () => ({ succeeded: true, responses: all({ succeeded: true, responses: all(undefined) }) })
  const answering = (answer: () => unknown) => async (request: Record<string, unknown>) => {
    requests.push(request)
    return answer()
  }
  const calls = { range: ranged, put, deleteRange: deleted, txn }
  const inner = Object.fromEntries(Object.entries(calls).map(([name, answer]) => [name, answering(answer)]))
  return { kv: withNamespace(inner as unknown as KvService, prefix), requests }
}

/** The text of every key in an object, however deep it is. */
function keysIn(value: unknown, name = ''): string[] {
  if (Buffer.isBuffer(value)) return name === 'key' || name === 'rangeEnd' ? [value.toString()] : []
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([each, inner]) => keysIn(inner, each))
}

describe('A namespace', () => {
  test('has its prefix in all keys of all requests, and in none of a response', async () => {
    const { kv, requests } = service()
    const range = encodeRange({ from: 'a', to: 'b' })
    const { key } = range
    const operations = [{ requestRange: range }, { requestPut: { key } }, { requestDeleteRange: range }]
    const nested = { compare: [{ ...range }], success: operations, failure: operations } as unknown as TxnRequest
    const whole = { ...nested, success: [...operations, { requestTxn: nested }] } as unknown as TxnRequest
    const responses = [
      await kv.range(range, context),
      await kv.put({ key }, context),
      await kv.deleteRange(range, context),
      await kv.txn(whole, context),
    ]
    const sent = keysIn(requests)
    assert.equal(sent.length, 2 + 1 + 2 + 2 * (2 + 5 + 5))
    assert.deepEqual([...new Set(sent)].sort(), ['p/a', 'p/b'])
    const received = keysIn(responses)
    assert.equal(received.length, 3 + 6)
    assert.deepEqual([...new Set(received)], ['a'])
  })

  test('has its own copies of events, which other watches see with other keys', () => {
    const { events } = batchOf(7, { 'p/a': '1' })
    const shared = { revision: 7, events: events.map((event) => Object.assign(event, { prevKv: kvOf('p/a', '0', 6) })) }
    for (let count = 0; count < 2; count += 1) {
      const [event] = namespaceWatch(prefix).batch(shared).events
      assert.deepEqual([event?.kv.keyText, event?.prevKv?.keyText, event?.revision], ['a', 'a', 7])
    }
    assert.equal(shared.events[0]?.kv.keyText, 'p/a')
  })

  test('streams its ranges under its own keys', async () => {
    const asked: unknown[] = []
    const streams = namespaceRangeStreams(prefix, {
      serves: (endpoint) => endpoint === 'a',
      async *read(request) {
        asked.push(request)
        yield { header: undefined, kvs: [kvOf('p/a', '', 1)], more: false, count: 1 }
      },
    })
    assert.deepEqual([streams.serves('a'), streams.serves('b')], [true, false])
    const parts = streams.read(encodeRange({ prefix: '' }), 'a', new AbortController().signal)
    for await (const { kvs } of parts) assert.deepEqual(keysIn(kvs), ['a'])
    assert.deepEqual(keysIn(asked), ['p/\0', 'p0'])
  })
})
