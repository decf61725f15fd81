import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { EtcdError } from '../../src/core/errors.js'
import { within } from '../support/slack.js'
import { type Pair, pairs, requests, responses, toReference } from './arbitrary.js'

/** Unknown fields: one of each wire type, a nested group, and a field number of five bytes. */
const unknownFields = Buffer.from(
  'c03e05' + 'c13e0102030405060708' + 'c23e03616263' + 'c53e01020304' + 'c33e08011b20011cc43e' + 'f8ffffff0f00',
  'hex',
)

function answer({ reference, response }: Pair, fields: Record<string, unknown>): Buffer {
  return reference.responseSerialize(toReference(response, fields))
}

function assertReadsOrRefuses({ row }: Pair, bytes: Buffer): void {
  try {
    row.decode(bytes)
  } catch (error) {
    assert.ok(error instanceof EtcdError, `${row.name}: ${error}`)
    assert.equal(error.code, 'PROTOCOL_ERROR')
    assert.equal(error.effect, 'unknown')
    assert.equal(error.method, row.name)
  }
}

describe('codecs compared with protobufjs', () => {
  for (const pair of pairs) {
    const { row, reference } = pair

    test(`${row.name} writes requests that protobufjs reads alike`, () => {
      const check = (request: Record<string, unknown>) => {
        const expected = reference.requestSerialize(toReference(pair.request, request))
        assert.deepEqual(reference.requestDeserialize(row.encode(request)), reference.requestDeserialize(expected))
      }
      fc.assert(fc.property(requests(pair.request), check))
    })

    test(`${row.name} reads the responses that protobufjs writes`, () => {
      const check = (fields: Record<string, unknown>) =>
        assert.deepStrictEqual(row.decode(answer(pair, fields)), fields)
      fc.assert(fc.property(responses(pair.response), check))
    })

    test(`${row.name} skips unknown fields`, () => {
      const check = (fields: Record<string, unknown>) => {
        const bytes = answer(pair, fields)
        assert.deepStrictEqual(row.decode(Buffer.concat([unknownFields, bytes])), fields)
        assert.deepStrictEqual(row.decode(Buffer.concat([bytes, unknownFields])), fields)
      }
      fc.assert(fc.property(responses(pair.response), check), { numRuns: 10 })
    })

    test(`${row.name} decodes damaged bytes to a value or a PROTOCOL_ERROR`, () => {
      const damage = fc.tuple(responses(pair.response), fc.nat(), fc.nat(), fc.nat(255))
      const check = ([fields, cut, place, byte]: [Record<string, unknown>, number, number, number]) => {
        const bytes = answer(pair, fields)
        assertReadsOrRefuses(pair, bytes.subarray(0, cut % (bytes.length + 1)))
        if (bytes.length > 0) bytes[place % bytes.length] = byte
        assertReadsOrRefuses(pair, bytes)
      }
      fc.assert(fc.property(damage, check))
      fc.assert(fc.property(fc.uint8Array(), (bytes) => assertReadsOrRefuses(pair, Buffer.from(bytes))))
    })
  }

  test('a megabyte of one repeated byte is read or rejected at once', () => {
    for (const pair of pairs) {
      for (const byte of [0x00, 0x08, 0x0a, 0x0b, 0x0c, 0x12, 0x1a, 0x80, 0xff]) {
        const started = performance.now()
        assertReadsOrRefuses(pair, Buffer.alloc(1 << 20, byte))
        assert.ok(performance.now() - started < within(2000), `${pair.row.name} 0x${byte.toString(16)}`)
      }
    }
  })
})
