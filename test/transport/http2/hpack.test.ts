import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { HpackDecoder } from '../../../src/transport/http2/hpack/decoder.js'
import { HpackEncoder } from '../../../src/transport/http2/hpack/encoder.js'
import { fieldBytes, type HeaderField } from '../../../src/transport/http2/hpack/header-field.js'
import { huffmanBytes, huffmanDecode, huffmanEncode } from '../../../src/transport/http2/hpack/huffman.js'
import { BlockCursor, writeInteger } from '../../../src/transport/http2/hpack/integer.js'
import { errorCodes, Http2Error } from '../../../src/transport/http2/http2-error.js'

const unlimited = Number.POSITIVE_INFINITY

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex')

/** The decoded blocks of one connection, each as lines of `name: value`. */
function decodeAll(blocks: readonly string[], maxTableBytes = 4096): string[][] {
  const decoder = new HpackDecoder(maxTableBytes, unlimited)
  return blocks.map((block) => decoder.decode(hex(block)).fields.map(([name, value]) => `${name}: ${value}`))
}

const requests = [
  [':method: GET', ':scheme: http', ':path: /', ':authority: www.example.com'],
  [':method: GET', ':scheme: http', ':path: /', ':authority: www.example.com', 'cache-control: no-cache'],
  [':method: GET', ':scheme: https', ':path: /index.html', ':authority: www.example.com', 'custom-key: custom-value'],
]
const date = (second: string): string => `date: Mon, 21 Oct 2013 20:13:${second} GMT`
const location = 'location: https://www.example.com'
const cookie = 'set-cookie: foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1'
const responses = [
  [':status: 302', 'cache-control: private', date('21'), location],
  [':status: 307', 'cache-control: private', date('21'), location],
  [':status: 200', 'cache-control: private', date('22'), location, 'content-encoding: gzip', cookie],
]

describe('HPACK decodes the examples of RFC 7541, appendix C:', () => {
  test('integers', () => {
    const cases = [
      [5, 10, '0a'],
      [5, 1337, '1f9a0a'],
      [8, 42, '2a'],
    ] as const
    for (const [prefixBits, value, bytes] of cases) {
      const written: number[] = []
      writeInteger(written, 0, prefixBits, value)
      assert.equal(Buffer.from(written).toString('hex'), bytes)
      assert.equal(new BlockCursor(hex(bytes)).integer(prefixBits), value)
    }
  })

  test('single fields', () => {
    assert.deepEqual(decodeAll(['400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572']), [
      ['custom-key: custom-header'],
    ])
    assert.deepEqual(decodeAll(['040c 2f73 616d 706c 652f 7061 7468']), [[':path: /sample/path']])
    assert.deepEqual(decodeAll(['1008 7061 7373 776f 7264 0673 6563 7265 74']), [['password: secret']])
    assert.deepEqual(decodeAll(['82']), [[':method: GET']])
  })

  test('requests, without and with Huffman coding', () => {
    const plain = [
      '8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d',
      '8286 84be 5808 6e6f 2d63 6163 6865',
      '8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65',
    ]
    const huffman = [
      '8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff',
      '8286 84be 5886 a8eb 1064 9cbf',
      '8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf',
    ]
    assert.deepEqual(decodeAll(plain), requests)
    assert.deepEqual(decodeAll(huffman), requests)
  })

  test('responses with a table of 256 bytes, without and with Huffman coding', () => {
    const plain = [
      `4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3120 474d 54
       6e17 6874 7470 733a 2f2f 7777 772e 6578 616d 706c 652e 636f 6d`,
      '4803 3330 37c1 c0bf',
      `88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d 54c0 5a04 677a 6970 7738 666f 6f3d
       4153 444a 4b48 514b 425a 584f 5157 454f 5049 5541 5851 5745 4f49 553b 206d 6178 2d61 6765 3d33 3630 303b 2076 6572
       7369 6f6e 3d31`,
    ].map((text) => text.replaceAll(/\s/g, ''))
    const huffman = [
      `4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad 1718 63c7 8f0b
       97c8 e9ae 82ae 43d3`,
      '4883 640e ffc1 c0bf',
      `88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d d7f2 e6c7 b335 dfdf
       cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07`,
    ].map((text) => text.replaceAll(/\s/g, ''))
    assert.deepEqual(decodeAll(plain, 256), responses)
    assert.deepEqual(decodeAll(huffman, 256), responses)
  })
})

describe('The HPACK decoder', () => {
  test('rejects invalid blocks with a reason', () => {
    const cases = [
      ['80', /no field with the index 0/],
      ['be', /no field with the index 62/],
      ['ff ff ff ff ff 7f', /integer .* too large/],
      ['ff 80 80 80 80 80 80 00', /integer .* too large/],
      ['ff', /ends within a field/],
      ['40', /ends within a field/],
      ['40 05 61', /ends within a string/],
      ['3f e2 1f', /a table of 4097 bytes was not offered/],
      ['82 20', /comes after a field/],
      ['00 81 ff 00', /padding/],
      ['00 81 00 00', /padding that is not made of ones/],
      ['00 84 ff ff ff ff 00', /the end within it/],
      ['00 82 1f ff', /padding/],
    ] as const
    for (const [block, why] of cases) {
      assert.throws(
        () => decodeAll([block]),
        (error) =>
          error instanceof Http2Error && error.code === errorCodes.COMPRESSION_ERROR && why.test(error.message),
        block,
      )
    }
  })

  test('keeps its table consistent when a header list exceeds the limit', () => {
    const decoder = new HpackDecoder(4096, 100)
    const encoder = new HpackEncoder(() => false)
    const large: HeaderField[] = [
      ['first', 'x'.repeat(50)],
      ['second', 'y'.repeat(50)],
    ]
    const decoded = decoder.decode(encoder.encode(large))
    assert.deepEqual([decoded.isTooLarge, decoded.fields.length], [true, 1])
    const second: HeaderField[] = [['second', 'y'.repeat(50)]]
    assert.deepEqual(decoder.decode(encoder.encode(second)).fields, second)
  })

  test('decodes any bytes to fields or to an Http2Error', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 5 }), (blocks) => {
        const decoder = new HpackDecoder(4096, 1000)
        try {
          for (const block of blocks) decoder.decode(Buffer.from(block))
        } catch (error) {
          assert.ok(error instanceof Http2Error, String(error))
        }
      }),
      { numRuns: 2000 },
    )
  })
})

describe('The HPACK encoder', () => {
  const secret = (name: string): boolean => name === 'token'
  const fields: HeaderField[] = [
    [':method', 'POST'],
    [':path', '/etcdserverpb.KV/Range'],
    ['te', 'trailers'],
    ['grpc-timeout', '10000m'],
  ]

  test('sends a field once, and then its index', () => {
    const encoder = new HpackEncoder(secret)
    const first = encoder.encode(fields)
    assert.ok(first.length > 30)
    assert.equal(encoder.encode(fields).toString('hex'), '83c0bfbe')
    const { changes } = encoder
    encoder.encode(fields)
    assert.equal(encoder.changes, changes)
  })

  test('encodes a secret as a never-indexed literal without Huffman coding', () => {
    const encoder = new HpackEncoder(secret)
    const block = encoder.encode([['token', 'abc']])
    assert.equal(block[0], 0x10)
    assert.ok(block.includes('abc'))
    assert.deepEqual(encoder.encode([['token', 'abc']]), block)
    assert.deepEqual(decodeAll([block.toString('hex')]), [['token: abc']])
  })

  test('confirms changes of the table size, and the smallest size in between', () => {
    const encoder = new HpackEncoder(secret)
    const decoder = new HpackDecoder(4096, unlimited)
    const round = (): Buffer => {
      const block = encoder.encode(fields)
      assert.deepEqual(decoder.decode(block).fields, fields)
      return block
    }
    round()
    encoder.allow(0)
    encoder.allow(100)
    assert.equal(round().toString('hex', 0, 3), '203f45')
    encoder.allow(0)
    assert.equal(round()[0], 0x20)
    assert.equal(round().length, round().length)
    encoder.allow(1_000_000)
    round()
    assert.equal(round().length, 4)
  })

  test('and the decoder agree for any fields and table sizes', () => {
    const letters = fc.string({ unit: fc.constantFrom(...'abz09-_/ :~'), maxLength: 30 })
    const name = fc.oneof(fc.constantFrom('token', ':path', 'grpc-timeout', 'accept', 'a'), letters)
    const value = fc.oneof(letters, fc.string({ unit: 'binary', maxLength: 8 }).map(latin1))
    const step = fc.record({
      table: fc.option(fc.nat({ max: 300 })),
      fields: fc.array(fc.tuple(name, value), { maxLength: 8 }),
    })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 12 }), (steps) => {
        const encoder = new HpackEncoder(secret)
        const decoder = new HpackDecoder(4096, unlimited)
        for (const { table, fields: list } of steps) {
          if (table !== null) encoder.allow(table)
          assert.deepEqual(decoder.decode(encoder.encode(list)).fields, list)
        }
      }),
      { numRuns: 500 },
    )
  })
})

const latin1 = (text: string): string => Buffer.from(text).toString('latin1')

describe('Huffman coding', () => {
  test('decodes to the same bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
        const encoded = huffmanEncode(bytes)
        assert.equal(encoded.length, huffmanBytes(bytes))
        assert.equal(huffmanDecode(encoded), Buffer.from(bytes).toString('latin1'))
      }),
      { numRuns: 1000 },
    )
  })
})

describe('The size of a header field', () => {
  test('is the length of its name and value plus 32', () => {
    assert.equal(fieldBytes('name', 'value'), 41)
  })
})

/** A checkout of github.com/http2jp/hpack-test-case: the blocks of other encoders, a folder for each. */
const vectors = process.env.HPACK_TEST_CASES

interface Story {
  readonly cases: readonly {
    readonly wire: string
    readonly headers: readonly Readonly<Record<string, string>>[]
    readonly header_table_size?: number
  }[]
}

describe('The HPACK decoder', { skip: vectors === undefined ? 'HPACK_TEST_CASES names no folder' : false }, () => {
  test('decodes the test cases of other encoders', (t) => {
    const files = readdirSync(vectors ?? '', { recursive: true, encoding: 'utf8' }).filter((name) =>
      name.endsWith('.json'),
    )
    let blocks = 0
    for (const file of files) {
      const { cases }: Story = JSON.parse(readFileSync(join(vectors ?? '', file), 'utf8'))
      const tableBytes = Math.max(4096, ...cases.map(({ header_table_size = 0 }) => header_table_size))
      const decoder = new HpackDecoder(tableBytes, unlimited)
      for (const { wire, headers } of cases) {
        const expected = headers.flatMap((header) => Object.entries(header))
        assert.deepEqual(decoder.decode(hex(wire)).fields, expected, file)
        blocks += 1
      }
    }
    assert.ok(blocks > 0)
    t.diagnostic(`${blocks} header blocks`)
  })
})
