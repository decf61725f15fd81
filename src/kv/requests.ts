import { InvalidArgumentError } from '../core/errors.js'
import { type Bytes, type EncodedRange, emptyKey, encodeRange, type KeyRange, successor } from '../core/key-range.js'
import { checkReadPolicy, type ReadPolicy, readPolicyOptions } from '../core/read-policy.js'
import {
  assertKnownOptions,
  hexId,
  keyBytes,
  nonNegativeInteger,
  oneOf,
  optionalBoolean,
  positiveInteger,
} from '../core/validate.js'
import type { DeleteRangeRequest, PutRequest, RangeRequest, SortTarget } from '../protobuf/generated/messages.js'
import { callOptionNames, checkCall } from '../transport/call-options.js'
import type { CallOptions } from '../transport/transport.js'
import { decodeCursor } from './cursor.js'

/** Options of `get()` as an operation of a transaction. */
export interface GetFields {
  /** Reads the key as it was at this revision. @default now */
  readonly revision?: number | undefined
  /** Leaves the value out. @default false */
  readonly keysOnly?: boolean | undefined
}

/** What to sort a range by. */
export interface Sort {
  readonly target: 'key' | 'version' | 'createRevision' | 'modRevision' | 'value'
  /** @default 'ascend' */
  readonly order?: 'ascend' | 'descend' | undefined
}

/** Options of `range()` as an operation of a transaction. */
export interface RangeFields extends GetFields {
  /** Maximum number of keys. */
  readonly limit?: number | undefined
  /** The order of the keys, by default by key and ascending. Any other order makes the server read the whole range. */
  readonly sort?: Sort | undefined
  /** Only keys written last at this revision or later. Filters make the server read the whole range. */
  readonly minModRevision?: number | undefined
  /** Only keys written last at this revision or earlier. */
  readonly maxModRevision?: number | undefined
  /** Only keys created at this revision or later. */
  readonly minCreateRevision?: number | undefined
  /** Only keys created at this revision or earlier. */
  readonly maxCreateRevision?: number | undefined
}

/** Options of `get()`. */
export interface GetOptions extends GetFields, ReadPolicy, CallOptions {}

/** Options of `range()`. */
export interface RangeOptions extends RangeFields, ReadPolicy, CallOptions {
  /** Continues after an earlier result of the same range, at that result's revision. */
  readonly cursor?: string | undefined
}

/** Options of `count()` and `exists()`. */
export interface CountOptions extends Pick<GetFields, 'revision'>, ReadPolicy, CallOptions {}

/** @inline */
interface PutCommon {
  /** Returns the previous value of the key. @default false */
  readonly prevKv?: boolean | undefined
}

/**
 * The lease of a key: attached to one, unchanged, or detached.
 * @inline
 */
type PutLease =
  | { readonly lease?: string | undefined; readonly ignoreLease?: false | undefined }
  | { readonly lease?: undefined; readonly ignoreLease: true }

/** Options of `put()` as an operation of a transaction. Without `lease` or `ignoreLease` the key is detached from its lease. */
export type PutFields = PutCommon & PutLease

/**
 * A key with a time to live, with a lease of the caller, or with none.
 * @inline
 */
type PutLifetime =
  | (PutLease & { readonly ttlSeconds?: undefined })
  | {
      /**
       * The key is deleted after this time or shortly later: it is attached to a lease that keys with the same TTL share.
       */
      readonly ttlSeconds: number | undefined
      readonly lease?: undefined
      readonly ignoreLease?: undefined
    }

/** Options of `put()`. */
export type PutOptions = PutCommon & PutLifetime & CallOptions

/** Options of `touch()`. */
export type TouchOptions = PutFields & CallOptions

/** Options of `putIf()`. */
export type PutIfOptions = PutLease & CallOptions

/** Options of `delete()` and `deleteRange()` as operations of a transaction. */
export interface DeleteFields {
  /** Returns the deleted keys. @default false */
  readonly prevKv?: boolean | undefined
}

/** Options of `delete()` and `deleteRange()`. */
export interface DeleteOptions extends DeleteFields, CallOptions {}

const callNames = callOptionNames
const getNames = ['revision', 'keysOnly'] as const
const boundNames = ['minModRevision', 'maxModRevision', 'minCreateRevision', 'maxCreateRevision'] as const
const rangeNames = [...getNames, 'limit', 'sort', ...boundNames] as const

/** The option names of each operation, to reject others at run time. */
export const optionNames = {
  call: callNames,
  get: [...getNames, ...readPolicyOptions, ...callNames],
  getOp: getNames,
  range: [...rangeNames, 'cursor', ...readPolicyOptions, ...callNames],
  rangeOp: rangeNames,
  count: ['revision', ...readPolicyOptions, ...callNames],
  list: [
    'revision',
    'keysOnly',
    'cursor',
    'maxPageSize',
    'onCompacted',
    'onRestart',
    ...readPolicyOptions,
    ...callNames,
  ],
  put: ['prevKv', 'lease', 'ignoreLease', 'ttlSeconds', ...callNames],
  touch: ['prevKv', 'lease', 'ignoreLease', ...callNames],
  putOp: ['prevKv', 'lease', 'ignoreLease'],
  delete: ['prevKv', ...callNames],
  deleteOp: ['prevKv'],
  compact: ['physical', ...callNames],
  update: ['maxAttempts', 'lease', 'ignoreLease', ...callNames],
  conditional: ['lease', 'ignoreLease', ...callNames],
} as const

/** Checks a call that reads: its common options and its read policy. */
export function checkRead(
  name: string,
  options: (ReadPolicy & CallOptions) | undefined,
  names: readonly string[],
): void {
  if (options === undefined) return
  checkCall(name, options, names)
  checkReadPolicy(options)
}

/** A read of one key. */
export function getRequest(key: Bytes, options: GetFields | undefined): RangeRequest {
  const request = { key: someKey(key) }
  if (options === undefined) return request
  return { ...request, revision: optionalRevision('revision', options.revision), keysOnly: keysOnly(options) }
}

/** A read of a range of keys. */
export function rangeRequest(range: KeyRange, options: RangeFields & { cursor?: string | undefined }): RangeRequest {
  const encoded = someRange(range)
  const position = options.cursor === undefined ? undefined : decodeCursor(options.cursor, encoded)
  if (position !== undefined && options.revision !== undefined) {
    throw new InvalidArgumentError('`cursor` and `revision` exclude each other: a cursor contains its revision')
  }
  return {
    key: position?.next ?? encoded.key,
    rangeEnd: encoded.rangeEnd,
    revision: position?.revision ?? optionalRevision('revision', options.revision),
    limit: options.limit === undefined ? undefined : positiveInteger('limit', options.limit),
    keysOnly: keysOnly(options),
    ...sortFields(options.sort),
    ...bounds(options),
  }
}

/** The number of keys in a range. */
export function countRequest(range: KeyRange, revision: number | undefined): RangeRequest {
  const { key, rangeEnd } = someRange(range)
  return { key, rangeEnd, countOnly: true, revision: optionalRevision('revision', revision) }
}

/** A write of one key. */
export function putRequest(key: Bytes, value: Bytes, options: PutFields | undefined): PutRequest {
  const request = { key: someKey(key), value: keyBytes('value', value) }
  return options === undefined ? request : { ...request, ...putFields(options) }
}

/** A write that keeps the value, and so gives the key a new revision. */
export function touchRequest(key: Bytes, options: PutFields): PutRequest {
  return { key: someKey(key), ignoreValue: true, ...putFields(options) }
}

/** A deletion of one key. */
export function deleteRequest(key: Bytes, options: DeleteFields): DeleteRangeRequest {
  return { key: someKey(key), prevKv: optionalBoolean('prevKv', options.prevKv) }
}

/** A deletion of a range of keys. */
export function deleteRangeRequest(range: KeyRange, options: DeleteFields): DeleteRangeRequest {
  const { key, rangeEnd } = someRange(range)
  return { key, rangeEnd, prevKv: optionalBoolean('prevKv', options.prevKv) }
}

/** The key right after the last one of a page, where the next page starts. */
export function afterLast(kvs: readonly { readonly key: Buffer }[]): Buffer | undefined {
  const last = kvs.at(-1)
  return last === undefined ? undefined : successor(last.key)
}

/** A key as bytes; etcd has no empty key. */
export function someKey(key: Bytes): Buffer {
  const bytes = keyBytes('key', key)
  if (bytes.length === 0) throw emptyKey()
  return bytes
}

/** Like `someKey()`, for a key that is used after the call has returned: the caller may reuse its buffer by then. */
export function ownKey(key: Bytes): Buffer {
  return typeof key === 'string' ? someKey(key) : Buffer.from(someKey(key))
}

/** A range as bytes; one of a single key has a key. */
export function someRange(range: KeyRange): EncodedRange {
  const encoded = encodeRange(range)
  if (encoded.key.length === 0) throw emptyKey()
  return encoded
}

function keysOnly(options: GetFields): boolean | undefined {
  return optionalBoolean('keysOnly', options.keysOnly)
}

/** Checks the fields of a write of one key at run time, for callers in JavaScript. */
export function putFields({ lease, ignoreLease, prevKv }: PutRequest): PutFields {
  if (lease !== undefined) hexId('lease', lease)
  optionalBoolean('ignoreLease', ignoreLease)
  optionalBoolean('prevKv', prevKv)
  if (lease !== undefined && ignoreLease === true) {
    throw new InvalidArgumentError('`lease` and `ignoreLease` exclude each other')
  }
  return ignoreLease === true ? { ignoreLease, prevKv } : { lease, prevKv }
}

const sortTargets: Readonly<Record<Sort['target'], SortTarget>> = {
  key: 'KEY',
  version: 'VERSION',
  createRevision: 'CREATE',
  modRevision: 'MOD',
  value: 'VALUE',
}

function sortFields(sort: Sort | undefined): Pick<RangeRequest, 'sortOrder' | 'sortTarget'> {
  if (sort === undefined) return {}
  assertKnownOptions('sort', sort, ['target', 'order'])
  const target = sortTargets[oneOf('sort.target', sort.target, Object.keys(sortTargets) as Sort['target'][])]
  const order = oneOf('sort.order', sort.order ?? 'ascend', ['ascend', 'descend'])
  // The server would read the whole range before it applies the limit if the natural order were requested by name.
  if (target === 'KEY' && order === 'ascend') return {}
  return { sortTarget: target, sortOrder: order === 'ascend' ? 'ASCEND' : 'DESCEND' }
}

function bounds(options: RangeFields): Pick<RangeRequest, (typeof boundNames)[number]> {
  const fields: { -readonly [Name in (typeof boundNames)[number]]?: number } = {}
  for (const name of boundNames) {
    const value = options[name]
    if (value !== undefined) fields[name] = nonNegativeInteger(name, value)
  }
  return fields
}

function optionalRevision(name: string, revision: number | undefined): number | undefined {
  return revision === undefined ? undefined : positiveInteger(name, revision)
}
