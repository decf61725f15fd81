import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import type { WatchResponse } from '../../src/protobuf/generated/messages.js'
import { methods } from '../../src/protobuf/methods.js'
import { partsOf, type WatchResponsePart, watchMethod } from '../../src/watch/response-parts.js'

function varint(value: number): Buffer {
  const bytes: number[] = []
  let rest = value
  for (; rest > 0x7f; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 0x80)
  return Buffer.from([...bytes, rest])
}

function field(tag: number, content: Buffer): Buffer {
  return Buffer.concat([varint(tag), varint(content.length), content])
}

/** An event of a put, as etcd encodes it. */
function eventBytes(modRevision: number, value = Buffer.alloc(0)): Buffer {
  const kv = Buffer.concat([field(10, Buffer.from('key')), varint(24), varint(modRevision), field(42, value)])
  return field(90, field(18, kv))
}

const watchId = Buffer.concat([varint(16), varint(7)])
const isFragment = Buffer.from([56, 1])

function responseOf(revisions: readonly number[], ...fields: readonly Buffer[]): Buffer {
  return Buffer.concat([watchId, ...fields, ...revisions.map((revision) => eventBytes(revision))])
}

/** The response that the parts come from. */
function joined(parts: readonly WatchResponsePart[]): WatchResponse {
  const { eventCount, hasMore, ...last } = parts.at(-1) ?? assert.fail()
  assert.equal(hasMore, undefined)
  return { ...last, events: parts.flatMap(({ events }) => events) }
}

describe('The parts of a watch response', () => {
  test('are together what the whole is, and all but the last end with their revision', () => {
    const revisions = fc
      .array(fc.integer({ min: 1, max: 900 }), { maxLength: 12 })
      .map((counts) => counts.flatMap((count, index) => Array<number>(count).fill(100 + index)))
    fc.assert(
      fc.property(revisions, fc.boolean(), (all, splits) => {
        const bytes = splits ? responseOf(all, isFragment) : responseOf(all)
        const parts = [...partsOf(bytes)]
        assert.deepEqual(joined(parts), methods.Watch.Watch.decode(bytes))
        assert.equal(parts.at(-1)?.eventCount ?? 0, all.length)
        for (const [index, { events, fragment, hasMore, eventCount }] of parts.slice(0, -1).entries()) {
          assert.deepEqual([fragment, hasMore, eventCount], [false, true, undefined])
          assert.ok(events.length >= 500)
          assert.notEqual(events.at(-1)?.kv?.modRevision, parts[index + 1]?.events[0]?.kv?.modRevision)
        }
      }),
      { numRuns: 50 },
    )
  })

  test('are made of large responses only', () => {
    assert.equal(watchMethod.parts?.(responseOf([1, 2, 3])), undefined)
    const large = Buffer.concat([watchId, eventBytes(1, Buffer.alloc(1_100_000))])
    assert.equal(watchMethod.parts?.(large)?.next().value?.events.length, 1)
  })

  test('are one if a field follows the events, which no member sends', () => {
    const bytes = Buffer.concat([responseOf(Array.from({ length: 2000 }, (_, index) => index + 1)), isFragment])
    const parts = [...partsOf(bytes)]
    assert.deepEqual([parts.length, parts[0]?.events.length, parts[0]?.fragment], [1, 2000, true])
  })

  test('end with a PROTOCOL_ERROR at an event that is damaged', () => {
    const bytes = Buffer.concat([
      responseOf(Array.from({ length: 1200 }, (_, index) => index + 1)),
      field(90, Buffer.from([0x12, 0x7f])),
    ])
    const parts = partsOf(bytes)
    assert.equal(parts.next().value?.events.length, 500)
    assert.equal(parts.next().value?.events.length, 500)
    assert.throws(() => parts.next(), { code: 'PROTOCOL_ERROR' })
  })
})
