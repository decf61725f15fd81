import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { optionsFromEnvironment } from '../../src/client/environment.js'
import { InvalidArgumentError, isEtcdError } from '../../src/core/errors.js'
import { goDurationMs } from '../../src/core/go-duration.js'
import { encodeRange } from '../../src/core/key-range.js'
import { endpointCodec } from '../../src/naming/endpoint-record.js'
import { parseConnectionString, parseEndpoints } from '../../src/transport/endpoint.js'
import { type Pair, pairs, responses, toReference } from '../protobuf/arbitrary.js'

/** `ETCDKIT_FUZZ_RUNS=100000` for a long run. */
const numRuns = Number(process.env.ETCDKIT_FUZZ_RUNS ?? 30)
const seed = Number(process.env.ETCDKIT_FUZZ_SEED ?? 1)

/** Fields that no message has: one of each wire type. */
const foreign = [
  Buffer.from('c03e05', 'hex'),
  Buffer.from('c13e0102030405060708', 'hex'),
  Buffer.from('c23e03616263', 'hex'),
]

/**
 * Valid encodings that no encoder writes: fields that come twice, the later ones added to a message that is complete, and
 * foreign fields between them. Wrong wire types are not compared: protobufjs reads them as if they were right.
 */
function unusual(pair: Pair): fc.Arbitrary<Buffer> {
  const message = responses(pair.response).map((fields) =>
    pair.reference.responseSerialize(toReference(pair.response, fields)),
  )
  const parts = fc.array(fc.oneof({ weight: 2, arbitrary: message }, fc.constantFrom(...foreign)), { maxLength: 4 })
  return parts.map((all) => Buffer.concat(all))
}

function read<T>(decode: () => T): { readonly value: T } | { readonly error: unknown } {
  try {
    return { value: decode() }
  } catch (error) {
    return { error }
  }
}

describe('Responses that no member sends', () => {
  for (const pair of pairs) {
    test(`of ${pair.row.name} are read as protobufjs reads them`, () => {
      const property = fc.property(unusual(pair), (bytes) => {
        const again = pair.reference.responseSerialize(toReference(pair.response, pair.row.decode(bytes)))
        assert.deepEqual(pair.reference.responseDeserialize(again), pair.reference.responseDeserialize(bytes))
      })
      fc.assert(property, { numRuns, seed })
    })
  }
})

/** Runs a parser on any text: the only error is about the argument, and contains no secret. */
function assertParses(parse: (text: string) => unknown, secret?: string): void {
  const pieces = fc.constantFrom(
    'http',
    'https',
    'etcd',
    'etcds',
    'unix',
    '://',
    ':',
    '/',
    '@',
    ',',
    '%',
    '[',
    ']',
    '%zz',
    '::1',
    '2379',
    '1h',
    'ns',
    '\ud800',
    '__proto__',
  )
  const texts = fc
    .array(fc.oneof(pieces, fc.string({ unit: 'binary', maxLength: 5 })), { maxLength: 9 })
    .map((parts) => parts.join(''))
  const property = fc.property(texts, (text) => {
    const parsed = read(() => parse(text))
    if ('value' in parsed) return
    assert.ok(parsed.error instanceof InvalidArgumentError, `${parsed.error}`)
    if (secret !== undefined) assert.ok(!parsed.error.message.includes(secret), parsed.error.message)
  })
  fc.assert(property, { numRuns: numRuns * 10, seed })
}

describe('Any text', () => {
  test('is endpoints, or refused', () => assertParses((text) => parseEndpoints(text, { hasTls: false })))

  test('after a password in a connection string is parsed or refused, without the password in the message', () => {
    assertParses((text) => parseConnectionString(text))
    assertParses((text) => parseConnectionString(`etcd://user:hush-hush@${text}`), 'hush-hush')
    assertParses((text) => parseEndpoints(`http://user:hush-hush@${text}`, { hasTls: false }), 'hush-hush')
  })

  test('is a duration of Go, or refused', () => assertParses((text) => goDurationMs('name', text)))

  test('in the environment is an option, or refused', () => {
    const names = [
      'ENDPOINTS',
      'USER',
      'PASSWORD',
      'DIAL_TIMEOUT',
      'KEEPALIVE_TIME',
      'INSECURE_SKIP_TLS_VERIFY',
      'CACERT',
    ]
    for (const name of names) assertParses((text) => optionsFromEnvironment({ [`ETCDCTL_${name}`]: text }))
    assertParses(
      (text) => optionsFromEnvironment({ ETCDCTL_PASSWORD: `hush-hush${text}`, ETCDCTL_USER: text }),
      'hush-hush',
    )
  })

  test('is a range of keys, or refused', () => {
    for (const name of ['key', 'prefix', 'from', 'to']) assertParses((text) => encodeRange({ [name]: text } as never))
  })

  test('as the record of an endpoint is decoded, or refused with DECODE_FAILED', () => {
    fc.assert(
      fc.property(fc.oneof(fc.json(), fc.string()), (text) => {
        const decoded = read(() => endpointCodec.decode(Buffer.from(text)))
        if ('error' in decoded) assert.ok(isEtcdError(decoded.error, 'DECODE_FAILED'), String(decoded.error))
      }),
      { numRuns: numRuns * 10, seed },
    )
  })
})
