import { EtcdError, InvalidArgumentError } from './errors.js'
import {
  isSchema,
  issuesText,
  type SchemaInput,
  type SchemaOutput,
  type SchemaResult,
  type StandardSchema,
} from './standard-schema.js'
import { describe, keyBytes } from './validate.js'

/** Reads values of type `T` from the bytes that etcd stores. */
export interface Decoder<T> {
  /** Decodes the bytes of a value. An error that it throws is reported as `DECODE_FAILED`. */
  decode(bytes: Buffer): T
}

/**
 * Converts between values and the bytes that etcd stores. `T` is the type of values that are read, and `Input` the type of values
 * that can be written, if it differs.
 *
 * @example
 * const port: Codec<number> = {
 *   encode: (value) => Buffer.from(String(value)),
 *   decode: (bytes) => Number(bytes.toString()),
 * }
 */
export interface Codec<T, Input = T> extends Decoder<T> {
  /** Encodes a value. An error that it throws rejects the write before anything is sent. */
  encode(value: Input): Uint8Array
}

/** Rejects anything but a codec. Schemas of zod have `encode()` and `decode()`, too, for other values than bytes. */
export function checkDecoder(name: string, codec: unknown): void {
  if (isSchema(codec)) throw new InvalidArgumentError(`${name} takes a codec, got a schema: pass json(schema)`)
  if (typeof (codec as Partial<Decoder<unknown>> | null | undefined)?.decode === 'function') return
  throw new InvalidArgumentError(`${name} takes a codec such as json(), got ${describe(codec)}`)
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** The codec of UTF-8 text. Invalid UTF-8 is an error (`DECODE_FAILED`) and is never replaced. */
export const text: Codec<string> = {
  encode(value) {
    if (typeof value === 'string') return keyBytes('value', value)
    throw new InvalidArgumentError(`text: \`value\` must be a string, got ${describe(value)}`)
  },
  decode(bytes) {
    try {
      return utf8.decode(bytes)
    } catch (cause) {
      throw new EtcdError('not valid UTF-8: read it as bytes', { code: 'DECODE_FAILED', effect: 'none', cause })
    }
  },
}

/** The codec of plain bytes. */
export const bytes: Codec<Uint8Array> = {
  encode: (value) => keyBytes('value', value),
  decode: (value) => value,
}

/**
 * Returns the codec of JSON. Invalid JSON is an error (`DECODE_FAILED`); decoded values are not validated against `T`.
 *
 * @example
 * const config = kv.as(json<Config>())
 */
export function json<T = unknown>(): Codec<T>
/**
 * Returns the codec of JSON with a schema of zod, valibot, arktype or another library that implements Standard Schema. Values are
 * validated when they are read and before they are written, and have the types of the schema. What is written is the value that
 * was passed; the schema's defaults and transforms apply when it is read.
 *
 * @param schema A schema that validates synchronously.
 * @throws `InvalidArgumentError` for anything but a schema. The codec throws `DECODE_FAILED` for a value that the schema
 *   rejects when it is read, and `InvalidArgumentError` when it is written; both have the paths of the invalid fields.
 * @example
 * const users = etcd.typed('users/', json(z.object({ name: z.string(), age: z.number() })))
 */
export function json<Schema extends StandardSchema>(schema: Schema): Codec<SchemaOutput<Schema>, SchemaInput<Schema>>
export function json(schema?: StandardSchema): Codec<unknown> {
  if (schema === undefined) return jsonCodec
  if (isSchema(schema)) return schemaCodec(schema)
  throw new InvalidArgumentError(
    `json() takes a schema of zod, valibot, arktype or another library that implements Standard Schema, got ${describe(schema)}`,
  )
}

const jsonCodec = {
  encode(value: unknown): Buffer {
    const encoded = jsonText(value)
    if (encoded !== undefined) return Buffer.from(encoded, 'utf8')
    throw new InvalidArgumentError(`json: \`value\` must have a JSON form, got ${describe(value)}`)
  },
  decode(bytes: Buffer): unknown {
    const source = text.decode(bytes)
    try {
      return JSON.parse(source)
    } catch (cause) {
      throw new EtcdError('not valid JSON', { code: 'DECODE_FAILED', effect: 'none', cause })
    }
  },
}

function schemaCodec(schema: StandardSchema): Codec<unknown> {
  return {
    encode(value) {
      const bytes = jsonCodec.encode(value)
      // The schema sees what a reader will: JSON turns a `Date` into text, and leaves `undefined` out.
      const problem = validated(schema, JSON.parse(bytes.toString())).issues
      if (problem === undefined) return bytes
      throw new InvalidArgumentError(`not valid: ${issuesText(problem)}`)
    },
    decode(bytes) {
      const result = validated(schema, jsonCodec.decode(bytes))
      if (result.issues === undefined) return result.value
      throw new EtcdError(`not valid: ${issuesText(result.issues)}`, { code: 'DECODE_FAILED', effect: 'none' })
    },
  }
}

function validated(schema: StandardSchema, value: unknown): SchemaResult<unknown> {
  const { validate, vendor } = schema['~standard']
  const result = validate(value)
  if (!('then' in result)) return result
  // Nobody awaits it.
  result.catch(() => {})
  throw new InvalidArgumentError(
    `json() needs a schema that validates synchronously, got one of ${vendor} with asynchronous checks`,
  )
}
/** `JSON.stringify()`, whose own errors concern the argument. Those of the value's `toJSON()` and getters are the caller's. */
function jsonText(value: unknown): string | undefined {
  try {
    return JSON.stringify(value)
  } catch (cause) {
    if (!(cause instanceof TypeError) && !(cause instanceof RangeError)) throw cause
    throw new InvalidArgumentError(`json: \`value\` must have a JSON form: ${cause.message}`, { cause })
  }
}
