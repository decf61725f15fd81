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

/** Fields of the wire that are no integers in every message that has them. */
const downgrade = 'Downgrade'

/**
 * A request of etcd3 as the engine has it: names in camel case, IDs in hexadecimal, integers as numbers, and enums in capital
 * letters. Throws `InvalidArgumentError` for an integer that is none.
 */
export function toRequest(method: string, request: object): object {
  const entries = Object.entries(request).flatMap(([name, value]) =>
    value === undefined || value === null ? [] : [[camelCase(name), toField(method, name, value)]],
  )
  return Object.fromEntries(entries)
}

function toField(method: string, name: string, value: unknown): unknown {
  if (Array.isArray(value)) return value.map((item) => toField(method, name, item))
  if (value instanceof Uint8Array) return value
  if (typeof value === 'object' && value !== null) return toRequest(method, value)
  if (idFields.has(name)) return toHexId(name, value)
  if (method === downgrade) return name === 'action' ? enumName(enums.DowngradeAction, value) : value
  if (integerFields.has(name)) return toInteger(name, value)
  const names = enumFields[name]
  return names === undefined ? value : enumName(names, value)
}

/** A 64-bit ID in hexadecimal digits. A negative one, as lease IDs may be, is its unsigned bit pattern. */
export function toHexId(name: string, value: unknown): string {
  return BigInt.asUintN(64, integerOf(name, value)).toString(16)
}

function toInteger(name: string, value: unknown): number {
  const integer = Number(integerOf(name, value))
  if (Number.isSafeInteger(integer)) return integer
  throw new InvalidArgumentError(`\`${name}\` must be at most 2^53 - 1, got ${String(value)}`)
}

/** Fractions are cut off, as etcd3 does. */
function integerOf(name: string, value: unknown): bigint {
  try {
    return BigInt(typeof value === 'number' ? Math.trunc(value) : String(value).trim())
  } catch (cause) {
    const error = new InvalidArgumentError(`\`${name}\` must be an integer, got ${String(value)}`)
    throw Object.assign(error, { cause })
  }
}

/** `NotEqual`, or its number, as `NOT_EQUAL`. */
function enumName(names: Names, value: unknown): string {
  const name = typeof value === 'number' ? Object.keys(names).find((key) => names[key] === value) : value
  return String(name ?? value)
    .replace(/(?<=[a-z])(?=[A-Z])/g, '_')
    .toUpperCase()
}

function camelCase(name: string): string {
  return name.replace(/_([a-zA-Z])/g, (_, letter: string) => letter.toUpperCase())
}
