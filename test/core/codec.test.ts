import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { bytes, json, text } from '../../src/core/codec.js'
import type { SchemaIssue, SchemaResult, StandardSchema } from '../../src/core/standard-schema.js'
import { poll } from '../../src/testing/index.js'

type Validate = (value: unknown) => SchemaResult<unknown> | Promise<SchemaResult<unknown>>

function schema(validate: Validate): StandardSchema {
  return { '~standard': { version: 1, vendor: 'test', validate } }
}

const invalidArgument = { name: 'InvalidArgumentError', code: 'INVALID_ARGUMENT' }

describe('The codec of text', () => {
  test('returns exactly what was written, or nothing', () => {
    for (const value of ['', 'größe', '\ufeffwith a mark', '\0'])
      assert.equal(text.decode(Buffer.from(text.encode(value))), value)
    assert.throws(() => text.decode(Buffer.from([0x61, 0xff])), { code: 'DECODE_FAILED', effect: 'none' })
    assert.throws(() => text.encode('\ud800'), invalidArgument)
    for (const value of [5, null, undefined, Buffer.from('a')])
      assert.throws(() => text.encode(value as never), invalidArgument)
    assert.throws(() => bytes.encode(5 as never), invalidArgument)
  })
})

describe('The codec of JSON', () => {
  test('refuses what has no JSON form, and passes on what the value throws', () => {
    const circular: { self?: unknown } = {}
    circular.self = circular
    for (const value of [undefined, () => {}, 5n, circular]) assert.throws(() => json().encode(value), invalidArgument)
    const own = new Error('not now')
    const value = {
      toJSON: () => {
        throw own
      },
    }
    assert.throws(() => json().encode(value), own)
    for (const stored of ['{', '', '\ufeff1']) {
      assert.throws(() => json().decode(Buffer.from(stored)), { code: 'DECODE_FAILED', effect: 'none' })
    }
    assert.throws(() => json().decode(Buffer.from([0x22, 0xff, 0x22])), { code: 'DECODE_FAILED' })
  })

  test('with a schema validates what a reader will see, writes what was passed, and reads the result of the schema', () => {
    const seen: unknown[] = []
    const dated = json(
      schema((value) => {
        seen.push(value)
        return { value: { ...Object(value), color: 'red' } }
      }),
    )
    const at = new Date(0)
    const stored = dated.encode({ at, missing: undefined } as never)
    assert.equal(String(stored), '{"at":"1970-01-01T00:00:00.000Z"}')
    assert.deepEqual(seen, [{ at: at.toISOString() }])
    assert.deepEqual(dated.decode(Buffer.from(stored)), { at: at.toISOString(), color: 'red' })
    const callable = Object.assign(
      () => {},
      schema((value) => ({ value })),
    )
    assert.equal(json(callable).decode(Buffer.from('7')), 7)
    for (const wrong of [null, 5, {}, { '~standard': {} }]) assert.throws(() => json(wrong as never), invalidArgument)
  })

  test('with a schema names the first three invalid fields by their paths', () => {
    const issues: SchemaIssue[] = [
      { path: ['limits', { key: 'ports' }, 0], message: 'must be a number' },
      { path: ['a-b'], message: 'is missing' },
      { path: ['name'], message: 'name must be text' },
      { message: 'not shown' },
    ]
    const refusing = (count: number) => json(schema(() => ({ issues: issues.slice(0, count) })))
    const three = 'not valid: limits.ports[0]: must be a number; ["a-b"]: is missing; name must be text'
    assert.throws(() => refusing(3).encode(1), { ...invalidArgument, message: three })
    assert.throws(() => refusing(3).decode(Buffer.from('1')), { code: 'DECODE_FAILED', rawMessage: three })
    assert.throws(() => refusing(4).encode(1), { ...invalidArgument, message: `${three}; and 1 more` })
  })

  test('refuses a schema that validates asynchronously, and leaves no unhandled rejection', async (t) => {
    const rejections: unknown[] = []
    const listen = (reason: unknown): number => rejections.push(reason)
    process.on('unhandledRejection', listen)
    t.after(() => process.off('unhandledRejection', listen))
    const message = /a schema that validates synchronously, got one of test with asynchronous checks/
    const late = json(schema(() => Promise.reject(new Error('late'))))
    assert.throws(() => late.encode(1), message)
    assert.throws(() => late.decode(Buffer.from('1')), message)
    let ticks = 0
    await poll('rejections would have been reported', () => (ticks++ > 2 ? true : undefined))
    assert.deepEqual(rejections, [])
  })
})
