import type { KeyRange, ReadMode } from '../index.js'
import type { Flags, FlagValues } from './command.js'
import { UsageError } from './usage-error.js'

/** Flags that turn a key into a range. */
export const rangeFlags = {
  prefix: { type: 'boolean', help: 'all keys with the prefix KEY; an empty KEY selects every key' },
  'from-key': { type: 'boolean', help: 'all keys from KEY on' },
} as const satisfies Flags

/** Flags for the consistency of reads. */
export const consistencyFlags = {
  consistency: {
    type: 'string',
    value: 'l|s',
    help: 'linearizable or serializable; serializable reads may be stale (l)',
  },
} as const satisfies Flags

/** The range of `KEY [END]` with the range flags, and whether it is a single key. */
export function keyRangeOf(
  [key = '', end]: readonly string[],
  { prefix = false, 'from-key': fromKey = false }: FlagValues<typeof rangeFlags>,
): { readonly range: KeyRange; readonly isOne: boolean } {
  const ways = [end !== undefined, prefix, fromKey].filter((way) => way).length
  if (ways > 1) throw new UsageError('END, --prefix and --from-key are mutually exclusive')
  if (prefix) return { range: { prefix: key }, isOne: false }
  if (fromKey) return { range: { from: key }, isOne: false }
  if (end !== undefined) return { range: { from: key, to: end }, isOne: false }
  if (key === '') throw new UsageError('KEY must not be empty, except with --prefix')
  return { range: { key }, isOne: true }
}

/** The read mode for the flags. */
export function readModeOf({ consistency }: FlagValues<typeof consistencyFlags>): ReadMode {
  if (consistency === undefined) return 'linearizable'
  if (consistency !== '' && 'linearizable'.startsWith(consistency)) return 'linearizable'
  if (consistency !== '' && 'serializable'.startsWith(consistency)) return 'serializable'
  throw new UsageError(`--consistency must be l or s, got ${JSON.stringify(consistency)}`)
}
