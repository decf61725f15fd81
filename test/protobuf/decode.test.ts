import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { type EtcdError, isEtcdError } from '../../src/core/errors.js'
import { KeyValue } from '../../src/core/key-value.js'
import type { Method } from '../../src/protobuf/method.js'
import { methods } from '../../src/protobuf/methods.js'

const hex = (text: string) => Buffer.from(text.replaceAll(' ', ''), 'hex')
const { KV, Watch, Lease, Maintenance, Election, Auth, Health } = methods

function refuses(method: Method<never, unknown>, bytes: string, message: RegExp): void {
  assert.throws(
    () => method.decode(hex(bytes)),
    (error: EtcdError) => {
      assert.ok(isEtcdError(error, 'PROTOCOL_ERROR'))
      assert.equal(error.effect, 'unknown')
      assert.equal(error.method, method.name)
      assert.match(error.message, message)
      return true
    },
  )
}

function varint(value: number): Buffer {
  const bytes: number[] = []
  let rest = value
  for (; rest > 0x7f; rest >>>= 7) bytes.push((rest & 0x7f) | 0x80)
  return Buffer.from([...bytes, rest])
}

function nestedTxn(depth: number): Buffer {
  let txn = Buffer.alloc(0)
  for (let i = 0; i < depth; i++) {
    const op = Buffer.concat([hex('22'), varint(txn.length), txn])
    txn = Buffer.concat([hex('1a'), varint(op.length), op])
  }
  return txn
}

describe('integers', () => {
  const count = (varint: string) => KV.Range.decode(hex(`20 ${varint}`)).count

  test('are numbers up to 2^53 - 1 in size', () => {
    assert.equal(count('ffffffffffffff0f'), Number.MAX_SAFE_INTEGER)
    assert.equal(count('81808080808080f0ff01'), Number.MIN_SAFE_INTEGER)
    assert.equal(count('ffffffffffffffffff01'), -1)
  })

  test('are rejected beyond, in every message', () => {
    refuses(KV.Range, '20 8080808080808010', /larger than 2\^53 - 1/)
    refuses(KV.Range, '20 80808080808080f0ff01', /larger than 2\^53 - 1/)
    refuses(KV.Range, '0a 09 20 8080808080808010', /larger than 2\^53 - 1/)
    refuses(Maintenance.Status, '28 ffffffffffffffffff01', /larger than 2\^53 - 1/)
    refuses(Maintenance.HashKV, '18 8080808080808010', /larger than 2\^53 - 1/)
  })

  test('may be written longer than needed', () => {
    assert.equal(count('85808080808080808000'), 5)
    assert.equal(count('8500'), 5)
  })
})

describe('IDs', () => {
  test('are unsigned lower-case hexadecimal, and zero is none', () => {
    const grant = (varint: string) => Lease.LeaseGrant.decode(hex(`10 ${varint}`)).ID
    assert.equal(grant('f09bafcdf8acd1918101'), '8123456789abcdf0')
    assert.equal(grant('d209'), '4d2')
    assert.equal(grant('8080808010'), '100000000')
    assert.equal(grant('00'), undefined)
    assert.equal(Lease.LeaseTimeToLive.decode(hex('10 f09bafcdf8acd1918101')).ID, '8123456789abcdf0')
  })

  test('of many leases are not mixed up', () => {
    for (let i = 1; i < 5000; i++) {
      const id = (BigInt(i) * 0x9e3779b97f4a7c15n) & 0xffff_ffff_ffff_ffffn
      const bytes = Lease.LeaseKeepAlive.encode({ ID: id.toString(16) })
      const answer = Lease.LeaseKeepAlive.decode(Buffer.concat([hex('10'), bytes.subarray(1)]))
      assert.equal(answer.ID, id.toString(16))
    }
  })
})

describe('damaged responses', () => {
  test('that are truncated are rejected', () => {
    for (const bytes of ['20', '2080', '12', '1205', '120a016b', '0a02', '80', '0a8080'])
      refuses(KV.Range, bytes, /truncated/)
  })

  test('with integers above 10 bytes are rejected', () => {
    refuses(KV.Range, '20 80808080808080808080 00', /longer than 10 bytes/)
    refuses(KV.Range, 'c03e 80808080808080808080 00', /longer than 10 bytes/)
  })

  test('with lengths beyond 32 bits are rejected', () => {
    refuses(KV.Range, '12 ffffffffffffffffff01', /truncated/)
    refuses(KV.Range, '12 8080808010', /truncated/)
  })

  test('with a nested message that exceeds its length are rejected', () => {
    refuses(KV.Range, '12 03 0a05 6b 6b6b6b6b6b', /exceeds its message/)
  })

  test('with field number 0, stray group ends or unknown wire types are rejected', () => {
    refuses(KV.Range, '00 00', /field number is zero/)
    refuses(KV.Range, 'c43e', /wire type 4/)
    refuses(KV.Range, 'c63e', /wire type 6/)
    refuses(KV.Range, '8080808080 01 00', /out of range/)
  })

  test('that are nested deeper than 100 are rejected', () => {
    assert.ok(KV.Txn.decode(nestedTxn(50)))
    refuses(KV.Txn, nestedTxn(51).toString('hex'), /deeper than 100/)
    refuses(KV.Txn, 'c33e'.repeat(200), /deeper than 100/)
  })

  test('with an unknown enum value are rejected', () => {
    refuses(Watch.Watch, '5a 02 08 07', /enum value 7 is not one of PUT, DELETE/)
    refuses(Maintenance.Alarm, '12 02 10 07', /enum value 7 is not one of NONE, NOSPACE, CORRUPT/)
  })
})

describe('decoded responses', () => {
  test('contain views of the bytes, not copies', () => {
    const bytes = hex('12 06 0a01 6b 2a01 76')
    const [kv] = KV.Range.decode(bytes).kvs
    assert.ok(kv instanceof KeyValue)
    bytes.fill('x')
    assert.equal(kv.keyText + kv.valueText, 'xx')
  })

  test('of the election service contain instances of KeyValue', () => {
    const { kv } = Election.Leader.decode(hex('12 0f 0a01 6b 2a01 76 30 d209 10 05 18 06 20 07'))
    const expected = Object.assign(new KeyValue(), {
      key: Buffer.from('k'),
      value: Buffer.from('v'),
      createRevision: 5,
      modRevision: 6,
      version: 7,
      lease: '4d2',
    })
    assert.deepStrictEqual(kv, expected)
  })

  test('of no bytes contain every default', () => {
    assert.deepStrictEqual(KV.Range.decode(hex('')), { header: undefined, kvs: [], more: false, count: 0 })
    const status = Auth.AuthStatus.decode(hex(''))
    assert.deepStrictEqual(status, { header: undefined, enabled: false, authRevision: 0 })
  })

  test('contain map entries for any key, including `__proto__`, and a default for a missing value', () => {
    const { statuses } = Health.List.decode(hex('0a 0f 0a 09 5f5f70726f746f5f5f 12 02 08 01 0a 03 0a 01 61'))
    assert.deepEqual(Object.entries(statuses), [
      ['__proto__', { status: 'SERVING' }],
      ['a', { status: 'UNKNOWN' }],
    ])
    assert.equal(Object.getPrototypeOf(statuses), Object.prototype)
  })

  test('contain the last of a repeated scalar field', () => {
    assert.equal(KV.Range.decode(hex('2001 2002')).count, 2)
    const [op] = KV.Txn.decode(hex('1a 04 0a00 1200')).responses
    assert.equal(op?.responseRange, undefined)
    assert.ok(op?.responsePut)
  })

  test('skip a known field with the wrong wire type', () => {
    assert.equal(KV.Range.decode(hex('22 01 05')).count, 0)
  })
})
