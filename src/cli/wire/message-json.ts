import { bytesField } from '../key-value-format.js'
import type { Json } from './json-text.js'
import { enumNumber, type Field, fieldsOf } from './schema.js'

/** A decoded message. */
export type Message = Readonly<Record<string, unknown>>

/** Fields whose JSON names are in snake case; all others have the same name in JSON. */
const snakeCase: ReadonlySet<string> = new Set([
  'clusterId',
  'memberId',
  'raftTerm',
  'createRevision',
  'modRevision',
  'compactRevision',
  'hashRevision',
  'prevKv',
  'prevKvs',
  'rangeEnd',
  'responseRange',
  'responsePut',
  'responseDeleteRange',
  'responseTxn',
])

/** An ID as a number, as Go has it; a lease may be negative. */
export function idNumber(id: string | undefined, type = 'uint64'): bigint {
  const value = BigInt(`0x${id ?? '0'}`)
  return type === 'int64' ? BigInt.asIntN(64, value) : value
}

/** A message as etcdctl writes it: bytes in base64, IDs and enums as numbers, no zero fields. */
export function etcdctlJson(message: object, type: string, hex = false): { readonly [name: string]: Json } {
  const result: Record<string, Json> = {}
  for (const field of fieldsOf(type) ?? []) {
    const value = (message as Message)[field.name]
    if (isZero(value, field)) continue
    const json = field.isRepeated ? listOf(value).map((item) => one(item, field, hex)) : one(value, field, hex)
    const name = isSnakeCase(field.name, type)
      ? field.name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
      : field.name
    if (field.oneof === undefined) result[name] = json
    else result[`${field.oneof[0]?.toUpperCase()}${field.oneof.slice(1)}`] = { [name]: json }
  }
  return result
}

/** The term is `raft_term` in headers, and `raftTerm` in the status of a member. */
function isSnakeCase(name: string, type: string): boolean {
  return snakeCase.has(name) && type !== 'StatusResponse'
}

function one(value: unknown, { type }: Field, hex: boolean): Json {
  if (Buffer.isBuffer(value)) return value.toString('base64')
  if (typeof value === 'object' && value !== null) return etcdctlJson(value, type, hex)
  if (typeof value === 'string') {
    if (type.endsWith('int64')) return hex ? value : idNumber(value, type)
    return enumNumber(type, value) ?? value
  }
  return scalar(value)
}

function scalar(value: unknown): Json {
  return typeof value === 'number' || typeof value === 'boolean' || typeof value === 'string' ? value : null
}

function isZero(value: unknown, { type, isRepeated }: Field): boolean {
  if (value === undefined || value === '' || value === 0 || value === false) return true
  if (isRepeated || Buffer.isBuffer(value)) return listOf(value).length === 0
  return enumNumber(type, value) === 0
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : Buffer.isBuffer(value) ? [...value] : []
}

/** A message for readers: text where bytes are UTF-8, hexadecimal IDs, names of enums, and the revision of the header. */
export function readableJson(message: object, type: string): Record<string, unknown> {
  const result: Record<string, unknown> = {}
  for (const field of fieldsOf(type) ?? []) {
    const value = (message as Message)[field.name]
    if (field.name === 'header') result.revision = (value as { readonly revision?: number } | undefined)?.revision
    else if (field.isRepeated) Object.assign(result, readableList(field, listOf(value)))
    else Object.assign(result, readableField(readableName(field.name), value, field.type))
  }
  return result
}

function readableList({ name, type }: Field, values: readonly unknown[]): Record<string, unknown> {
  const items = values.map((value) => readableField('item', value, type))
  return { [readableName(name)]: items.map(({ item, itemBase64 }) => item ?? { base64: itemBase64 }) }
}

function readableField(name: string, value: unknown, type: string): Record<string, unknown> {
  if (Buffer.isBuffer(value)) return bytesField(name, value)
  if (typeof value !== 'object' || value === null) return { [name]: value }
  return { [name]: readableJson(value, type) }
}

/** `ID` is `id`, `peerURLs` is `peerUrls`, `TTL` is `ttl`. */
function readableName(name: string): string {
  const words = name.replace(/(ID|TTL|URL)/g, (word) => word[0] + word.slice(1).toLowerCase())
  return words.slice(0, 1).toLowerCase() + words.slice(1)
}
