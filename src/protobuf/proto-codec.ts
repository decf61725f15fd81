import type { MethodDefinition, PackageDefinition } from '@grpc/proto-loader'
import { InvalidArgumentError } from '../core/errors.js'
import { importCommonJs } from '../core/import-common-js.js'
import { KeyValue } from '../core/key-value.js'
import { descriptor } from './generated/descriptor.js'
import { type FieldRule, type MessageName, rules } from './generated/rules.js'
import { highWord, lowWord } from './id.js'
import { protocolError } from './protocol-error.js'
import { checkInteger } from './writer.js'

type Fields = Record<string, unknown>
type Definition = MethodDefinition<object, object>

const table: Readonly<Record<MessageName, Readonly<Record<string, FieldRule>>>> = rules
let definitions: PackageDefinition | undefined
let loading: Promise<void> | undefined

/**
 * Loads the protobuf library and builds the service definitions, which has to be awaited before the first message; `undefined`
 * where that was done. It takes some 70 ms of the CPU, which a client that only reads, writes and watches never needs.
 */
export function prepareCold(): Promise<void> | undefined {
  if (definitions !== undefined) return undefined
  loading ??= load()
  return loading
}

async function load(): Promise<void> {
  const { fromJSON } = await importCommonJs(() => import('@grpc/proto-loader'))
  const schema = descriptor as Parameters<typeof fromJSON>[0]
  definitions = fromJSON(schema, { longs: String, enums: String, defaults: true })
}

/** Encodes the request of the method at `path`. Throws `InvalidArgumentError` for what the wire cannot hold. */
export function encodeCold(path: string, message: MessageName, request: object): Buffer {
  return definition(path).requestSerialize(toProto(message, request))
}

/** Decodes the answer of the method at `path`. Throws whatever the protobuf library throws for bad bytes. */
export function decodeCold(path: string, message: MessageName, bytes: Buffer): object {
  return fromProto(message, definition(path).responseDeserialize(bytes))
}

function definition(path: string): Definition {
  if (definitions === undefined) throw new Error(`the method ${path} was not prepared`)
  const [, service = '', method = ''] = path.split('/')
  // Only services are looked up, and a service definition maps methods to their definitions.
  const found = (definitions[service] as Record<string, Definition> | undefined)?.[method]
  if (found === undefined) throw new Error(`there is no method ${path}`)
  return found
}

function toProto(message: MessageName, request: object): Fields {
  const fields: Fields = { ...request }
  for (const [name, rule] of Object.entries(table[message])) {
    const value = fields[name]
    if (value === undefined) continue
    fields[name] = Array.isArray(value) ? value.map((item) => encodeValue(rule, item)) : encodeValue(rule, value)
  }
  return fields
}

function encodeValue(rule: FieldRule, value: unknown): unknown {
  if (rule === 'int64') return checkInteger(value)
  if (rule === 'id') return encodeId(value)
  if (rule === 'bytes') return checkBytes(value)
  if ('enum' in rule) return checkName(rule.enum, value)
  if ('map' in rule || typeof value !== 'object' || value === null) throw wrong('a message', value)
  return toProto(rule.message, value)
}

function encodeId(value: unknown): object {
  return { high: highWord(value), low: lowWord(value), unsigned: false }
}

function checkBytes(value: unknown): Uint8Array {
  if (value instanceof Uint8Array) return value
  throw wrong('bytes', value)
}

function checkName(names: readonly string[], value: unknown): string {
  if (typeof value === 'string' && names.includes(value)) return value
  throw wrong(`one of ${names.join(', ')}`, value)
}

function wrong(expected: string, value: unknown): InvalidArgumentError {
  return new InvalidArgumentError(`expected ${expected}, got ${String(value)}`)
}

function fromProto(message: MessageName, answer: object): object {
  const fields: Fields = { ...answer }
  for (const [name, rule] of Object.entries(table[message])) {
    const value = fields[name]
    fields[name] = Array.isArray(value) ? value.map((item) => decodeValue(rule, item)) : decodeValue(rule, value)
  }
  return message === 'KeyValue' ? Object.assign(new KeyValue(), fields) : fields
}

function decodeValue(rule: FieldRule, value: unknown): unknown {
  if (value === null || value === undefined || rule === 'bytes') return value ?? undefined
  if (rule === 'int64') return decodeInteger(String(value))
  if (rule === 'id') return decodeId(String(value))
  if ('enum' in rule) return decodeName(value)
  if (typeof value !== 'object') throw protocolError('expected a message')
  return 'map' in rule ? decodeMap(rule.map, value) : fromProto(rule.message, value)
}

function decodeInteger(digits: string): number {
  const value = Number(digits)
  if (Number.isSafeInteger(value)) return value
  throw protocolError(`the integer ${digits} is larger than 2^53 - 1`)
}

function decodeId(digits: string): string | undefined {
  return digits === '0' ? undefined : BigInt.asUintN(64, BigInt(digits)).toString(16)
}

function decodeName(value: unknown): string {
  // The protobuf library leaves a number that has no name as it is.
  if (typeof value === 'string') return value
  throw protocolError(`the enum value ${String(value)} is not known`)
}

function decodeMap(message: MessageName, map: object): object {
  return Object.fromEntries(Object.entries(map).map(([key, value]) => [key, fromProto(message, value)]))
}
