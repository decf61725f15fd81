import { types } from 'node:util'
import { shareable } from './abort.js'
import { InvalidArgumentError } from './errors.js'
import { isRevoked } from './revoked.js'

/** Rejects what is no object of options, and unknown options; suggests the name that was probably meant. */
export function assertKnownOptions(owner: string, options: object, known: readonly string[]): void {
  assertOptions(owner, options, known)
  for (const name in options) {
    if (!known.includes(name) && Object.hasOwn(options, name)) throw unknownOption(owner, name, known)
  }
}

/** Rejects what is no object of options, for callers that copy them before others validate them. */
export function assertOptions(owner: string, options: unknown, known: readonly string[] = []): void {
  if (isOptions(options, known)) return
  throw new InvalidArgumentError(
    `options of ${owner} must be an object, got ${describe(options)}${optionsHint(options)}`,
  )
}

/** Validates a function of the caller. */
export function assertFunction(name: string, value: unknown): void {
  if (typeof value !== 'function')
    throw new InvalidArgumentError(`\`${name}\` must be a function, got ${describe(value)}`)
}

/** Whether options can be read from a value. Of a promise, a date or a signal they would all be `undefined`. */
function isOptions(value: unknown, known: readonly string[]): boolean {
  if (typeof value !== 'object' || value === null || isRevoked(value)) return false
  const prototype = Object.getPrototypeOf(value)
  if (prototype === Object.prototype || prototype === null) return true
  if (Array.isArray(value)) return false
  if (Object.prototype.toString.call(value) === '[object Object]' || Object.keys(value).length > 0) return true
  return known.some((name) => name in value)
}

/** `instanceof`, for any value. */
function isInstance<T>(value: unknown, type: abstract new (...args: never[]) => T): value is T {
  return typeof value === 'object' && value !== null && !isRevoked(value) && value instanceof type
}

/** What to pass instead of something that is no object of options. */
function optionsHint(options: unknown): string {
  if (typeof options === 'function') return ': there are no callbacks, await the result'
  return isInstance(options, AbortSignal) ? ': pass { signal }' : ''
}

/** Validates an integer of at least 1. */
export function positiveInteger(name: string, value: unknown): number {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 1) return value
  throw new InvalidArgumentError(`\`${name}\` must be a whole number of at least 1, got ${describe(value)}`)
}

/** Validates an integer of at least 0. */
export function nonNegativeInteger(name: string, value: unknown): number {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value
  throw new InvalidArgumentError(`\`${name}\` must be a whole number of at least 0, got ${describe(value)}`)
}

/** Validates a duration in milliseconds: at least 0, or `Infinity`. */
export function durationMs(name: string, value: unknown): number {
  if (typeof value === 'number' && value >= 0) return value
  throw new InvalidArgumentError(`\`${name}\` must be milliseconds, at least 0, or Infinity, got ${describe(value)}`)
}

/** Validates an interval in milliseconds: at least 1, or `Infinity` for never. */
export function intervalMs(name: string, value: unknown): number {
  if (typeof value === 'number' && value >= 1) return value
  throw new InvalidArgumentError(`\`${name}\` must be milliseconds, at least 1, or Infinity, got ${describe(value)}`)
}

/** Validates a boolean or `undefined`. */
export function optionalBoolean(name: string, value: unknown): boolean | undefined {
  if (value === undefined || typeof value === 'boolean') return value
  throw new InvalidArgumentError(`\`${name}\` must be true or false, got ${describe(value)}`)
}

/** Validates the ID of a lease or a member in hexadecimal. */
export function hexId(name: string, value: unknown): string {
  if (typeof value === 'string' && /^[0-9a-f]{1,16}$/i.test(value)) return value
  throw new InvalidArgumentError(
    `\`${name}\` must be 1 to 16 hexadecimal digits, got ${describe(value)}${idHint(value)}`,
  )
}

/** Validates one of several strings. */
export function oneOf<const T extends string>(name: string, value: unknown, allowed: readonly T[]): T {
  const found = allowed.find((word) => word === value)
  if (found !== undefined) return found
  const words = allowed.map((word) => `'${word}'`).join(' or ')
  throw new InvalidArgumentError(`\`${name}\` must be ${words}, got ${describe(value)}`)
}

/** Validates an `AbortSignal`, which any number of calls may share, or `undefined`. */
export function optionalSignal(name: string, value: unknown): AbortSignal | undefined {
  if (value === undefined) return value
  if (isInstance(value, AbortSignal)) return shareable(value)
  throw new InvalidArgumentError(`\`${name}\` must be an AbortSignal, got ${describe(value)}`)
}

/** Rejects text that UTF-8 cannot represent: another character would be sent in place of a lone surrogate. */
export function wellFormed(name: string, text: string): string {
  if (text.isWellFormed()) return text
  throw new InvalidArgumentError(`\`${name}\` must be well-formed text, got a string with a lone surrogate`)
}

/** Converts a key or a value to bytes. Bytes are not copied; text that UTF-8 cannot represent is rejected. It may be empty. */
export function keyBytes(name: string, value: unknown): Buffer {
  if (typeof value === 'string') return Buffer.from(wellFormed(name, value))
  // Bytes of another realm, such as the sandbox of a test runner, are not an instance of this realm's Uint8Array.
  if (types.isUint8Array(value)) return bufferOf(name, value)
  throw new InvalidArgumentError(
    `\`${name}\` must be a string or bytes, got ${describe(value)}${bytesHint(name, value)}`,
  )
}

/** Like `keyBytes()`, for bytes that are used after the call has returned: the caller may reuse its buffer by then. */
export function ownBytes(name: string, value: unknown): Buffer {
  const bytes = keyBytes(name, value)
  return typeof value === 'string' ? bytes : Buffer.from(bytes)
}

/** Detached bytes have been transferred to another thread: they look empty. */
function bufferOf(name: string, bytes: Uint8Array): Buffer {
  if (bytes.byteLength === 0 && isDetached(bytes.buffer)) {
    throw new InvalidArgumentError(`\`${name}\` must be a string or bytes, got bytes of a detached buffer`)
  }
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

function isDetached(buffer: ArrayBufferLike): boolean {
  try {
    new Uint8Array(buffer)
    return false
  } catch {
    return true
  }
}

/** IDs in decimal have up to 20 digits, and numbers in JavaScript are not exact enough for them. */
function idHint(value: unknown): string {
  if (typeof value === 'string' && /^\d{17,20}$/.test(value)) return `: that is decimal, pass BigInt(id).toString(16)`
  return typeof value === 'bigint' || typeof value === 'number' ? ': pass the text that etcdctl prints' : ''
}

/** What to pass instead of a value that is neither text nor bytes. */
function bytesHint(name: string, value: unknown): string {
  if (types.isPromise(value)) return ': await it'
  if (name === 'value') return valueHint(value)
  if (typeof value !== 'object' || value === null || isRevoked(value)) return ''
  return 'prefix' in value || 'from' in value ? ': for a range there are range(), list() and deleteRange()' : ''
}

function valueHint(value: unknown): string {
  if (value === null) return ': delete() deletes a key'
  if (types.isDate(value)) return ': pass value.toISOString()'
  if (typeof value === 'object') return isRevoked(value) ? '' : ': pass JSON.stringify(value)'
  return ['number', 'boolean', 'bigint'].includes(typeof value) ? ': pass String(value)' : ''
}

const longestDescription = 60

/** Describes an invalid value for error messages: at most 60 characters, and no contents of objects. */
export function describe(value: unknown): string {
  if (typeof value === 'string') return quoted(value)
  const text = rendering(value)
  return text.length <= longestDescription ? text : `${text.slice(0, longestDescription - 1)}…`
}

function quoted(value: string): string {
  const text = JSON.stringify(value.slice(0, longestDescription))
  const complete = value.length <= longestDescription && text.length <= longestDescription
  return complete ? text : `${text.slice(0, longestDescription - 2)}…"`
}

function rendering(value: unknown): string {
  if (value === null) return 'null'
  switch (typeof value) {
    case 'bigint':
      return `${value}n`
    case 'object':
      return objectKind(value)
    case 'function':
      return 'a function'
    default:
      return String(value)
  }
}

function objectKind(value: object): string {
  if (types.isUint8Array(value)) return 'bytes'
  if (types.isPromise(value)) return 'a promise'
  if (isRevoked(value)) return 'a revoked proxy'
  if (types.isProxy(value)) return 'an object'
  if (Array.isArray(value)) return 'an array'
  return value instanceof AbortSignal ? 'an AbortSignal' : 'an object'
}

function unknownOption(owner: string, name: string, known: readonly string[]): InvalidArgumentError {
  const shown = name.length <= longestDescription ? name : `${name.slice(0, longestDescription - 1)}…`
  const meant = nearest(shown, known)
  const guess = meant === undefined ? `known are ${known.join(', ')}` : `did you mean \`${meant}\`?`
  const hint = (owner.startsWith('new ') ? clientOptions : callOptions).get(name) ?? guess
  return new InvalidArgumentError(`unknown option \`${shown}\` of ${owner}: ${hint}`)
}

/** Options of other clients, and what replaces them here. */
const clientOptions: ReadonlyMap<string, string> = new Map([
  ['hosts', 'the members are `endpoints`'],
  ['host', 'the members are `endpoints`'],
  ['credentials', 'certificates are `tls: { ca, cert, key }`'],
  ['username', 'users are `auth: { username, password }`'],
  ['password', 'users are `auth: { username, password }`'],
  ['dialTimeout', 'the time to wait for a connection is `connectTimeoutMs`'],
  ['grpcOptions', 'keepalives are `keepaliveMs` and `keepaliveTimeoutMs`'],
  ['faultHandling', 'retries are `retry`'],
  ['defaultCallOptions', 'the time limit of calls is `timeoutMs`'],
  ['prefix', 'the prefix of all keys is `namespace`'],
])
const callOptions: ReadonlyMap<string, string> = new Map([
  ['prefix', 'a range is the first argument, as in range({ prefix }), list({ prefix }) and deleteRange({ prefix })'],
  ['codec', 'values are read by kv.as(codec), and written as codec.encode(value)'],
])

/** How many letters a misspelled name may differ by. */
const slipLetters = 2

/** The most similar name in `known`, if one is similar enough. */
export function nearest(name: string, known: readonly string[]): string | undefined {
  let found: string | undefined
  let least = Math.min(slipLetters + 1, name.length)
  for (const candidate of known) {
    const letters = candidate.startsWith(name) ? 1 : distance(candidate.toLowerCase(), name.toLowerCase())
    if (letters >= least) continue
    found = candidate
    least = letters
  }
  return found
}

/** The edit distance: how many letters to insert, delete or replace. */
function distance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i += 1) {
    const current = [i]
    for (let j = 1; j <= b.length; j += 1) {
      const replaced = (previous[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)
      current.push(Math.min(replaced, (previous[j] ?? 0) + 1, (current[j - 1] ?? 0) + 1))
    }
    previous = current
  }
  return previous[b.length] ?? 0
}
