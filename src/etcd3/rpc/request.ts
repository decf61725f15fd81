import { assertOptions, describe, optionalBoolean } from '../../core/validate.js'
import { InvalidArgumentError } from '../../index.js'
import * as enums from './enums.js'

type Names = Readonly<Record<string, number>>

/** The names of enum values, by field. `action` is that of alarms; downgrades have their own. */
const enumFields: Readonly<Record<string, Names>> = {
  sort_order: enums.SortOrder,
  sort_target: enums.SortTarget,
  result: enums.CompareResult,
  target: enums.CompareTarget,
  filters: enums.FilterType,
  action: enums.AlarmAction,
  alarm: enums.AlarmType,
  permType: enums.Permission,
}

const idFields = new Set(['lease', 'ID', 'memberID', 'targetID'])

const integerFields = new Set([
  'limit',
  'revision',
  'min_mod_revision',
  'max_mod_revision',
  'min_create_revision',
  'max_create_revision',
  'version',
  'create_revision',
  'mod_revision',
  'start_revision',
  'watch_id',
  'TTL',
])

const booleanFields = new Set([
  'serializable',
  'keys_only',
  'count_only',
  'prev_kv',
  'ignore_value',
  'ignore_lease',
  'physical',
  'progress_notify',
  'fragment',
  'keys',
  'isLearner',
  'linearizable',
  'no_password',
])

/** Fields that hold another message, or several. */
const messageFields = new Set([
  'compare',
  'success',
  'failure',
  'request_range',
  'request_put',
  'request_delete_range',
  'request_txn',
  'create_request',
  'cancel_request',
  'progress_request',
  'perm',
  'options',
])

/** Transactions may be nested, but not as deeply as this. */
const maxDepth = 50

/** Fields of the wire that are no integers in every message that has them. */
const downgrade = 'Downgrade'

/**
 * A request of etcd3 as the engine has it: names in camel case, IDs in hexadecimal, integers as numbers, and enums in capital
 * letters. Throws `InvalidArgumentError` for an integer that is none.
 */
export function toRequest(method: string, request: object, depth = 0): object {
  assertOptions(method, request)
  if (depth > maxDepth) throw new InvalidArgumentError(`the request of ${method} must not be nested so deeply`)
  const entries = Object.entries(request).flatMap(([name, value]) =>
    value === undefined || value === null ? [] : [[camelCase(name), toField(method, name, value, depth + 1)]],
  )
  return Object.fromEntries(entries)
}

function toField(method: string, name: string, value: unknown, depth: number): unknown {
  if (Array.isArray(value) && depth <= maxDepth) return value.map((item) => toField(method, name, item, depth + 1))
  if (value instanceof Uint8Array) return value
  if (messageFields.has(name)) return toRequest(method, value as object, depth)
  if (idFields.has(name)) return toHexId(name, value)
  if (booleanFields.has(name)) return optionalBoolean(name, value)
  if (method === downgrade) return name === 'action' ? enumName(enums.DowngradeAction, value) : textOf(name, value)
  if (integerFields.has(name)) return toInteger(name, value)
  const names = enumFields[name]
  return names === undefined ? textOf(name, value) : enumName(names, value)
}

/** Anything else would be left out of the message. */
function textOf(name: string, value: unknown): string {
  if (typeof value === 'string') return value
  throw new InvalidArgumentError(`\`${name}\` must be text or bytes, got ${describe(value)}`)
}

/** A 64-bit ID in hexadecimal digits. A negative one, as lease IDs may be, is its unsigned bit pattern. */
export function toHexId(name: string, value: unknown): string {
  return BigInt.asUintN(64, integerOf(name, value)).toString(16)
}

/** An integer that is exact as a number. */
export function toInteger(name: string, value: unknown): number {
  const integer = Number(integerOf(name, value))
  if (Number.isSafeInteger(integer)) return integer
  throw new InvalidArgumentError(`\`${name}\` must be at most 2^53 - 1, got ${describe(value)}`)
}

/** Fractions are cut off, as etcd3 does. */
function integerOf(name: string, value: unknown): bigint {
  try {
    if (typeof value === 'number') return BigInt(Math.trunc(value))
    if (typeof value === 'string' && value.trim() !== '') return BigInt(value.trim())
    if (typeof value === 'bigint') return value
  } catch {
    // Of a fraction that is none, or of text that is no number.
  }
  throw new InvalidArgumentError(`\`${name}\` must be an integer, got ${describe(value)}`)
}

/** `NotEqual`, or its number, as `NOT_EQUAL`. */
function enumName(names: Names, value: unknown): string {
  const name = typeof value === 'number' ? Object.keys(names).find((key) => names[key] === value) : value
  return (typeof name === 'string' ? name : describe(value)).replace(/(?<=[a-z])(?=[A-Z])/g, '_').toUpperCase()
}

function camelCase(name: string): string {
  return name.replace(/_([a-zA-Z])/g, (_, letter: string) => letter.toUpperCase())
}
