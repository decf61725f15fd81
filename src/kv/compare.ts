import type { Bytes, KeyRange } from '../core/key-range.js'
import { hexId, nonNegativeInteger, ownBytes } from '../core/validate.js'
import type { Compare, CompareFields, CompareResult } from '../protobuf/generated/messages.js'
import { ownKey, someRange } from './requests.js'
import { TxnPart } from './txn-part.js'

/** One condition of a transaction, made by `key()` or `keys()`. */
export class Comparison extends TxnPart {
  /** @internal */
  readonly compare: Compare

  /** Made by `key()` and `keys()`. */
  constructor(compare: Compare) {
    super()
    this.compare = compare
  }
}

/** Compares one property of a key. */
export interface Comparable<T> {
  /** Holds if the property is equal to `value`. */
  equals(value: T): Comparison
  /** Holds if the property differs from `value`. */
  notEquals(value: T): Comparison
  /** Holds if the property is greater than `value`. */
  greater(value: T): Comparison
  /** Holds if the property is less than `value`. */
  less(value: T): Comparison
}

/**
 * The properties of a key that a transaction can compare. For a key that does not exist, the numbers are 0, the lease is
 * `'0'`, and no comparison of its value holds, not even `notEquals`.
 */
export interface ComparableKey {
  /** Number of writes since the key was created. */
  readonly version: Comparable<number>
  /** The revision that created it. */
  readonly createRevision: Comparable<number>
  /** The revision that wrote it last. */
  readonly modRevision: Comparable<number>
  readonly value: Comparable<Bytes>
  /** The lease of the key, in hexadecimal; `'0'` for none. */
  readonly lease: Comparable<string>
  /** The key exists. */
  exists(): Comparison
  /** The key does not exist. */
  missing(): Comparison
}

/** Compares properties of one key: `key('a').version.equals(0)`. */
export function key(name: Bytes): ComparableKey {
  return comparableKey({ key: ownKey(name) })
}

/**
 * Compares properties of all keys in a range: the comparison holds if it holds for each of them. A range without keys
 * compares like one key that does not exist. Needs etcd 3.3 or later.
 */
export function keys(range: KeyRange): ComparableKey {
  return comparableKey(someRange(range))
}

function comparableKey(range: Pick<CompareFields, 'key' | 'rangeEnd'>): ComparableKey {
  const number = (name: string, toTarget: (value: number) => CompareTargetFields): Comparable<number> =>
    comparable(range, (value: number) => toTarget(nonNegativeInteger(name, value)))
  const version = number('version', (version) => ({ target: 'VERSION', version }))
  return {
    version,
    createRevision: number('createRevision', (createRevision) => ({ target: 'CREATE', createRevision })),
    modRevision: number('modRevision', (modRevision) => ({ target: 'MOD', modRevision })),
    value: comparable(range, (value: Bytes) => ({ target: 'VALUE', value: ownBytes('value', value) })),
    lease: comparable(range, (lease: string) => ({ target: 'LEASE', lease: hexId('lease', lease) })),
    exists: () => version.greater(0),
    missing: () => version.equals(0),
  }
}

type CompareTargetFields =
  | { readonly target: 'VERSION'; readonly version: number }
  | { readonly target: 'CREATE'; readonly createRevision: number }
  | { readonly target: 'MOD'; readonly modRevision: number }
  | { readonly target: 'VALUE'; readonly value: Uint8Array }
  | { readonly target: 'LEASE'; readonly lease: string }

function comparable<T>(
  range: Pick<CompareFields, 'key' | 'rangeEnd'>,
  toTarget: (value: T) => CompareTargetFields,
): Comparable<T> {
  const compare =
    (result: CompareResult) =>
    (value: T): Comparison =>
      new Comparison({ ...range, result, ...toTarget(value) })
  return {
    equals: compare('EQUAL'),
    notEquals: compare('NOT_EQUAL'),
    greater: compare('GREATER'),
    less: compare('LESS'),
  }
}
