import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { type GroupOperation, groupTxn, operationBytes, operationTag } from '../../../src/kv/batching/group-txn.js'
import type { RequestOp } from '../../../src/protobuf/generated/messages.js'
import { methods } from '../../../src/protobuf/methods.js'

const { KV } = methods

const bytes = fc.uint8Array({ minLength: 1, maxLength: 300 }).map((array) => Buffer.from(array))

const operation: fc.Arbitrary<{ readonly sent: RequestOp; readonly encoded: GroupOperation }> = fc.oneof(
  fc.record({ key: bytes, serializable: fc.boolean(), limit: fc.nat() }).map((request) => ({
    sent: { requestRange: request },
    encoded: { tag: operationTag.range, message: Buffer.from(KV.Range.encode(request)) },
  })),
  fc.record({ key: bytes, value: bytes, prevKv: fc.boolean() }).map((request) => ({
    sent: { requestPut: request },
    encoded: { tag: operationTag.put, message: Buffer.from(KV.Put.encode(request)) },
  })),
  fc.record({ key: bytes, rangeEnd: bytes }).map((request) => ({
    sent: { requestDeleteRange: request },
    encoded: { tag: operationTag.deleteRange, message: Buffer.from(KV.DeleteRange.encode(request)) },
  })),
)

/** A field of a message, as the wire has it. */
function field(tag: number, ...parts: readonly Buffer[]): Buffer {
  const body = Buffer.concat(parts)
  assert.ok(body.length < 0x80)
  return Buffer.concat([Buffer.from([tag, body.length]), body])
}

const revision = (number: number): Buffer => Buffer.from([24, number])

describe('A group of encoded operations', () => {
  test('is written as the transaction of these operations', () => {
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 20 }), (operations) => {
        const encoded = operations.map((one) => one.encoded)
        const written = groupTxn.encode(encoded)
        assert.deepEqual(written, Buffer.from(KV.Txn.encode({ success: operations.map(({ sent }) => sent) })))
        assert.equal(
          written.length,
          encoded.reduce((sum, one) => sum + operationBytes(one), 0),
        )
      }),
    )
  })

  test('is answered with the answers of single calls: each has the header of the whole', () => {
    const kv = field(18, field(10, Buffer.from('k')), field(42, Buffer.from('v')))
    const message = Buffer.concat([
      field(10, revision(9), Buffer.from([32, 3])),
      Buffer.from([16, 1]),
      field(26, field(10, field(10, revision(9)), kv, Buffer.from([32, 1]))),
      field(26, field(18, field(10, revision(9)))),
      field(26, field(26, field(10, revision(9)), Buffer.from([16, 2]))),
      field(26, field(10)),
    ])
    const { header, answers, sizes } = groupTxn.decode(message)
    assert.deepEqual([header?.revision, header?.raftTerm], [9, 3])
    assert.ok(answers.every((answer) => answer.header === header))
    const [range, put, deleted, none] = answers
    assert.ok(range !== undefined && 'kvs' in range && range.kvs[0]?.valueText === 'v' && range.count === 1)
    assert.deepEqual(put, { header, prevKv: undefined })
    assert.deepEqual(deleted, { header, deleted: 2, prevKvs: [] })
    assert.deepEqual(none, { header, kvs: [], more: false, count: 0 })
    assert.deepEqual(sizes, [16, 6, 8, 2])
  })

  test('is refused where an answer is missing or of no kind that a group asks for', () => {
    for (const answer of [field(26), field(26, field(34, Buffer.alloc(0)))]) {
      assert.throws(() => groupTxn.decode(answer), { code: 'PROTOCOL_ERROR', method: 'KV.Txn' })
    }
  })
})
