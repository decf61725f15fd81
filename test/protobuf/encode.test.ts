import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { InvalidArgumentError } from '../../src/core/errors.js'
import type { Compare } from '../../src/protobuf/generated/messages.js'
import { methods } from '../../src/protobuf/methods.js'

const bytes = (text: string) => Buffer.from(text, 'latin1')
const key = bytes('k')
const { KV, Watch, Lease, Maintenance } = methods

/** `expected` is what etcd's Go package `etcdserverpb` writes for the same request. */
function assertWrites(actual: Buffer, expected: string): void {
  assert.equal(actual.toString('hex'), expected)
}

describe('requests are the bytes that the Go client writes', () => {
  test('Range', () => {
    const request = KV.Range.encode({
      key: bytes('a'),
      rangeEnd: bytes('b'),
      limit: 500,
      revision: Number.MAX_SAFE_INTEGER,
      sortOrder: 'DESCEND',
      sortTarget: 'VALUE',
      serializable: true,
      keysOnly: true,
      countOnly: true,
      minModRevision: 1,
      maxModRevision: 2 ** 31,
      minCreateRevision: 2 ** 32,
      maxCreateRevision: -1,
    })
    assertWrites(
      request,
      '0a016112016218f40320ffffffffffffff0f28023004380140014801500158808080800860808080801068ffffffffffffffffff01',
    )
  })

  test('Put', () => {
    const request = {
      key,
      value: bytes('v'),
      lease: '694d77aa9e38260f',
      prevKv: true,
      ignoreValue: true,
      ignoreLease: true,
    }
    assertWrites(KV.Put.encode(request), '0a016b120176188fcce0f1a9f5dda669200128013001')
  })

  test('Put with a lease whose ID is negative', () => {
    assertWrites(KV.Put.encode({ key, lease: '8123456789abcdf0' }), '0a016b18f09bafcdf8acd1918101')
  })

  test('DeleteRange', () => {
    assertWrites(KV.DeleteRange.encode({ key: bytes('a'), rangeEnd: bytes('\0'), prevKv: true }), '0a01611201001801')
  })

  test('Txn, with every kind of operation and comparisons with zero', () => {
    const version: Compare = { result: 'NOT_EQUAL', target: 'VERSION', key, version: 0, rangeEnd: bytes('l') }
    const request = KV.Txn.encode({
      compare: [
        version,
        { result: 'GREATER', target: 'CREATE', key, createRevision: 7 },
        { result: 'LESS', target: 'MOD', key, modRevision: 0 },
        { target: 'VALUE', key, value: bytes('') },
        { target: 'LEASE', key, lease: '0' },
      ],
      success: [
        { requestRange: { key } },
        { requestPut: { key, value: Buffer.alloc(200) } },
        { requestDeleteRange: { key: bytes('a'), rangeEnd: bytes('\0'), prevKv: true } },
      ],
      failure: [{ requestTxn: { compare: [version] } }],
    })
    const put = `12d10112ce010a016b12c801${'00'.repeat(200)}`
    assertWrites(
      request,
      `0a0b08031a016b20008204016c0a09080110011a016b28070a09080210021a016b30000a0710031a016b3a000a0710041a016b400012050a030a016b${put}120a1a080a016112010018011a0f220d0a0b08031a016b20008204016c`,
    )
  })

  test('Watch', () => {
    const createRequest = {
      key,
      rangeEnd: bytes('l'),
      startRevision: 300,
      progressNotify: true,
      filters: ['NOPUT', 'NODELETE'] as const,
      prevKv: true,
      watchId: 9,
      fragment: true,
    }
    assertWrites(Watch.Watch.encode({ createRequest }), '0a150a016b12016c18ac0220012a020001300138094001')
    assertWrites(Watch.Watch.encode({ cancelRequest: { watchId: 9 } }), '12020809')
    assertWrites(Watch.Watch.encode({ progressRequest: {} }), '1a00')
  })

  test('LeaseGrant and LeaseKeepAlive', () => {
    assertWrites(Lease.LeaseGrant.encode({ TTL: 60, ID: '694d77aa9e38260f' }), '083c108fcce0f1a9f5dda669')
    assertWrites(Lease.LeaseKeepAlive.encode({ ID: '8123456789abcdf0' }), '08f09bafcdf8acd1918101')
  })

  test('MoveLeader and Alarm', () => {
    assertWrites(Maintenance.MoveLeader.encode({ targetID: 'fedcba9876543210' }), '0890e4d0b287d3aeeefe01')
    const alarm = Maintenance.Alarm.encode({ action: 'DEACTIVATE', memberID: 'fedcba9876543210', alarm: 'CORRUPT' })
    assertWrites(alarm, '08021090e4d0b287d3aeeefe011802')
  })
})

describe('values that cannot be encoded', () => {
  const refuses = (write: () => unknown) => assert.throws(write, InvalidArgumentError)

  test('integers above 2^53 - 1, fractions and NaN are rejected', () => {
    for (const number of [2 ** 53, -(2 ** 53), 1.5, Number.NaN, Number.POSITIVE_INFINITY]) {
      refuses(() => KV.Range.encode({ key, limit: number }))
      refuses(() => KV.Compact.encode({ revision: number }))
    }
  })

  test('IDs that are not 1 to 16 hexadecimal digits are rejected', () => {
    for (const lease of ['', 'x', '-1', '0x1', '12345678901234567', 'g'.repeat(16), '1 ', ':', '@', '`', '/']) {
      refuses(() => KV.Put.encode({ key, lease }))
      refuses(() => Lease.LeaseRevoke.encode({ ID: lease }))
    }
  })

  test('strings for bytes are rejected, and not decoded as base64', () => {
    const text = 'text' as unknown as Uint8Array
    refuses(() => KV.Put.encode({ key: text }))
    refuses(() => methods.Lock.Unlock.encode({ key: text }))
  })

  test('an unknown enum name is rejected', () => {
    refuses(() => KV.Range.encode({ key, sortOrder: 'UP' as 'ASCEND' }))
    refuses(() => Maintenance.Alarm.encode({ action: 'STOP' as 'GET' }))
  })

  test('a rejected request does not affect the next one', () => {
    refuses(() => KV.Put.encode({ key, lease: 'none' }))
    assertWrites(KV.Put.encode({ key }), '0a016b')
  })
})

describe('encoded requests', () => {
  test('upper-case and zero-padded IDs are the same lease', () => {
    assert.deepEqual(KV.Put.encode({ lease: '00000000000004D2' }), KV.Put.encode({ lease: '4d2' }))
  })

  test('do not change while others are written after them', () => {
    const values = Array.from({ length: 2000 }, (_, i) => Buffer.alloc(i % 300, i))
    const written = values.map((value) => KV.Put.encode({ key, value }))
    const large = KV.Put.encode({ key, value: Buffer.alloc(1 << 20, 7) })
    assert.equal(large.length, (1 << 20) + 7)
    for (const [i, value] of values.entries()) {
      assert.ok(written[i]?.subarray(written[i].length - value.length).equals(value))
    }
  })

  test('may be larger than the chunks of the writer, at any depth', () => {
    const put = { requestPut: { key, value: Buffer.alloc(40_000, 1) } }
    const nested = { requestTxn: { success: [put, put] } }
    const flat = KV.Put.encode(put.requestPut).length
    const opBytes = (size: number) => size + 1 + 3
    const request = KV.Txn.encode({ failure: [nested] })
    const ops = 2 * opBytes(opBytes(flat))
    assert.equal(request.length, opBytes(opBytes(ops)))
  })
})
