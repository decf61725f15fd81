import type { MethodDefinition } from '@grpc/proto-loader'
import fc from 'fast-check'
import protobuf from 'protobufjs'
import { KeyValue } from '../../src/core/key-value.js'
import { descriptor } from '../../src/protobuf/generated/descriptor.js'
import type { Method } from '../../src/protobuf/method.js'
import { methods } from '../../src/protobuf/methods.js'
import { loadServiceDefinitions, type ServiceDefinitions } from '../../src/protobuf/service-definitions.js'

/** A message of this library: camelCase fields, numbers, hexadecimal IDs. */
export type Message = Record<string, unknown>

/** A row of the method table, and the definition of the same method by proto-loader. */
export interface Pair {
  readonly row: Method<Message, Message>
  readonly reference: MethodDefinition<object, object>
  readonly request: protobuf.Type
  readonly response: protobuf.Type
}

type Role = 'request' | 'response'

const root = protobuf.Root.fromJSON(descriptor as protobuf.INamespace)
root.resolveAll()
const definitions = await loadServiceDefinitions()

/** All 52 methods. */
export const pairs: readonly Pair[] = Object.values(methods).flatMap((service) => Object.values(service).map(pair))

function pair(method: Method<never, unknown>): Pair {
  const [service = '', name = ''] = method.path.slice(1).split('/')
  const { resolvedRequestType, resolvedResponseType } = root.lookupService(service).methods[name] ?? {}
  const reference = definitions[method.name.split('.')[0] as keyof ServiceDefinitions][name]
  if (!resolvedRequestType || !resolvedResponseType || !reference) throw new Error(`${method.path} is not defined`)
  // The messages come from the schema of this very method, so they are of the row's types.
  const row = method as unknown as Method<Message, Message>
  return { row, reference, request: resolvedRequestType, response: resolvedResponseType }
}

/** Whether a 64-bit integer is an ID, by its name. The generator has a table instead. */
function isId({ name, type }: protobuf.Field): boolean {
  return /64$/.test(type) && /^(ID|lease|leader|memberID|targetID|clusterId|memberId)$/.test(name)
}

/** Random requests, with any fields left out and oneof members at any value. */
export function requests(type: protobuf.Type): fc.Arbitrary<Message> {
  return message(type, 'request', 0)
}

/** Random responses with every field. */
export function responses(type: protobuf.Type): fc.Arbitrary<Message> {
  return message(type, 'response', 0)
}

function message(type: protobuf.Type, role: Role, depth: number): fc.Arbitrary<Message> {
  const oneof = type.oneofsArray[0]?.fieldsArray ?? []
  const plain = type.fieldsArray.filter((field) => !oneof.includes(field))
  const record: Record<string, fc.Arbitrary<unknown>> = {}
  for (const field of plain) record[field.name] = fieldValue(field, role, depth)
  const requiredKeys = role === 'request' ? [] : Object.keys(record)
  const fields: fc.Arbitrary<Message> = fc.record(record, { requiredKeys, noNullPrototype: true })
  if (oneof.length === 0)
    return type.name === 'KeyValue' ? fields.map((kv) => Object.assign(new KeyValue(), kv)) : fields
  const members = oneof.filter((field) => depth < 6 || !field.name.endsWith('Txn'))
  const variant = fc.oneof(...members.map((field) => single(field, role, depth).map((value) => ({ field, value }))))
  const absent = role === 'request' ? {} : Object.fromEntries(oneof.map((field) => [field.name, undefined]))
  return fc.tuple(fields, variant).map(([others, { field, value }]) => ({ ...others, ...absent, [field.name]: value }))
}

function fieldValue(field: protobuf.Field, role: Role, depth: number): fc.Arbitrary<unknown> {
  const value = single(field, role, depth)
  if (field instanceof protobuf.MapField) {
    return fc.array(fc.tuple(fc.string({ unit: 'grapheme' }), value), { maxLength: 3 }).map(Object.fromEntries)
  }
  if (field.repeated) return fc.array(value, { maxLength: depth > 2 ? 2 : 4 })
  const absent = role === 'request' || field.resolvedType instanceof protobuf.Type || isId(field)
  return absent ? fc.option(value, { nil: undefined, freq: 4 }) : value
}

function single(field: protobuf.Field, role: Role, depth: number): fc.Arbitrary<unknown> {
  const type = field.resolvedType
  if (type instanceof protobuf.Type) return message(type, role, depth + 1)
  if (type instanceof protobuf.Enum) return fc.constantFrom(...Object.keys(type.values))
  if (isId(field)) return role === 'request' ? fc.oneof(fc.constant('0'), ids) : ids
  return scalar(field.type)
}

const ids = fc
  .oneof(
    fc.bigInt(1n, 2n ** 64n - 1n),
    fc.constantFrom(1n, 2n ** 31n, 2n ** 32n, 2n ** 63n - 1n, 2n ** 63n, 2n ** 64n - 1n),
  )
  .map((id) => id.toString(16))

function scalar(type: string): fc.Arbitrary<unknown> {
  switch (type) {
    case 'int64':
      return fc.oneof(fc.maxSafeInteger(), fc.integer(), fc.constantFrom(0, -1, 127, 128, 2 ** 31, 2 ** 32, -(2 ** 31)))
    case 'uint64':
      return fc.oneof(fc.maxSafeNat(), fc.nat())
    case 'uint32':
      return fc.nat(0xffff_ffff)
    case 'bool':
      return fc.boolean()
    case 'string':
      return fc.string({ unit: 'grapheme' })
    case 'bytes':
      return fc
        .oneof(fc.uint8Array({ maxLength: 12 }), fc.uint8Array({ maxLength: 300 }))
        .map((bytes) => Buffer.from(bytes))
    default:
      throw new Error(`no values for ${type}`)
  }
}

/** Converts a message of this library for proto-loader. */
export function toReference(type: protobuf.Type, fields: Message): Message {
  const entries = Object.entries(fields).filter(([, value]) => value !== undefined)
  return Object.fromEntries(entries.map(([name, value]) => [name, referenceValue(type.fields[name], value)]))
}

function referenceValue(field: protobuf.Field | undefined, value: unknown): unknown {
  if (field === undefined) throw new Error('the message has a field that the schema has not')
  if (Array.isArray(value)) return value.map((item) => referenceItem(field, item))
  if (!(field instanceof protobuf.MapField)) return referenceItem(field, value)
  return Object.fromEntries(Object.entries(value as Message).map(([key, item]) => [key, referenceItem(field, item)]))
}

function referenceItem(field: protobuf.Field, value: unknown): unknown {
  if (field.resolvedType instanceof protobuf.Type) return toReference(field.resolvedType, value as Message)
  if (isId(field)) {
    const id = BigInt(`0x${value}`)
    return String(field.type === 'int64' ? BigInt.asIntN(64, id) : id)
  }
  return /64$/.test(field.type) ? String(value) : value
}
