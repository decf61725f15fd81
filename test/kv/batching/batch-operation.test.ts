import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import {
  deleteOperation,
  type EncodedOperation,
  operationBytes,
  putOperation,
  rangeOperation,
} from '../../../src/kv/batching/batch-operation.js'
import type { RequestOp } from '../../../src/protobuf/generated/messages.js'
import { methods } from '../../../src/protobuf/methods.js'

const bytes = fc.uint8Array({ minLength: 1, maxLength: 300 }).map((array) => Buffer.from(array))
const range = fc.record({ key: bytes, serializable: fc.boolean(), limit: fc.nat() })
const put = fc.record({ key: bytes, value: bytes, prevKv: fc.boolean() })
const deletion = fc.record({ key: bytes, rangeEnd: bytes })

/** A batch of requests, encoded in both ways. */
const batches: fc.Arbitrary<{ readonly written: Buffer; readonly encoded: EncodedOperation[]; sent: RequestOp[] }> =
  fc.oneof(
    fc.array(range, { maxLength: 20 }).map((requests) => {
      const encoded = requests.map((request) => ({ message: rangeOperation.method.encode(request) }))
      const sent = requests.map((requestRange) => ({ requestRange }))
      return { written: rangeOperation.txn.encode(encoded), encoded, sent }
    }),
    fc.array(put, { maxLength: 20 }).map((requests) => {
      const encoded = requests.map((request) => ({ message: putOperation.method.encode(request) }))
      const sent = requests.map((requestPut) => ({ requestPut }))
      return { written: putOperation.txn.encode(encoded), encoded, sent }
    }),
    fc.array(deletion, { maxLength: 20 }).map((requests) => {
      const encoded = requests.map((request) => ({ message: deleteOperation.method.encode(request) }))
      const sent = requests.map((requestDeleteRange) => ({ requestDeleteRange }))
      return { written: deleteOperation.txn.encode(encoded), encoded, sent }
    }),
  )

/** A field of a message, as the wire has it. */
function field(tag: number, ...parts: readonly Buffer[]): Buffer {
  const body = Buffer.concat(parts)
  assert.ok(body.length < 0x80)
  return Buffer.concat([Buffer.from([tag, body.length]), body])
}

const revision = (number: number): Buffer => Buffer.from([24, number])
const header = Buffer.concat([field(10, revision(9), Buffer.from([32, 3])), Buffer.from([16, 1])])

describe('A batch of encoded operations', () => {
  test('is encoded as the transaction of these operations', () => {
    fc.assert(
      fc.property(batches, ({ written, encoded, sent }) => {
        assert.deepEqual(written, methods.KV.Txn.encode({ success: sent }))
        assert.equal(
          written.length,
          encoded.reduce((sum, one) => sum + operationBytes(one), 0),
        )
      }),
    )
  })

  test('is decoded to the responses of single calls: each has the header of the transaction', () => {
    const kv = field(18, field(10, Buffer.from('k')), field(42, Buffer.from('v')))
    const found = field(26, field(10, field(10, revision(9)), kv, Buffer.from([32, 1])))
    const ranges = rangeOperation.txn.decode(Buffer.concat([header, found, field(26, field(10))]))
    assert.deepEqual([ranges.header?.revision, ranges.header?.raftTerm, ranges.sizes], [9, 3, [16, 2]])
    const [first, second] = ranges.responses
    assert.deepEqual([first?.kvs[0]?.valueText, first?.count, first?.header], ['v', 1, ranges.header])
    assert.deepEqual(second, { header: ranges.header, kvs: [], more: false, count: 0 })
    const puts = putOperation.txn.decode(Buffer.concat([header, field(26, field(18, field(10, revision(9))))]))
    assert.deepEqual([puts.responses, puts.sizes], [[{ header: puts.header, prevKv: undefined }], [6]])
    const deleted = field(26, field(26, field(10, revision(9)), Buffer.from([16, 2])))
    const deletions = deleteOperation.txn.decode(Buffer.concat([header, deleted]))
    assert.deepEqual(deletions.responses, [{ header: deletions.header, deleted: 2, prevKvs: [] }])
    assert.deepEqual(deletions.sizes, [8])
  })

  test('is refused if a response is missing or of another kind than its operation', () => {
    for (const response of [field(26), field(26, field(34, Buffer.alloc(0))), field(26, field(18))]) {
      assert.throws(() => rangeOperation.txn.decode(response), { code: 'PROTOCOL_ERROR', method: 'KV.Txn' })
    }
  })
})
