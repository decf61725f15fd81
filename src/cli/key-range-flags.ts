import type { KeyRange, ReadMode } from '../index.js'
import type { Flags, FlagValues } from './command.js'
import { UsageError } from './usage-error.js'

/** Flags that make a range of a key. */
export const rangeFlags = {
  prefix: { type: 'boolean', help: 'all keys that begin with KEY; an empty KEY is every key' },
  'from-key': { type: 'boolean', help: 'all keys from KEY on' },
} as const satisfies Flags

/** Flags that say how a read is served. */
export const consistencyFlags = {
  consistency: {
    type: 'string',
    value: 'l|s',
    help: 'linearizable, or serializable: from one member, maybe stale (l)',
  },
} as const satisfies Flags

/** The keys that `KEY [END]` with the flags of a range stands for, and whether that may be more than one. */
export function rangeOf(
  [key = '', end]: readonly string[],
  { prefix = false, 'from-key': fromKey = false }: FlagValues<typeof rangeFlags>,
): { readonly range: KeyRange; readonly isOne: boolean } {
  const ways = [end !== undefined, prefix, fromKey].filter((way) => way).length
  if (ways > 1) throw new UsageError('END, --prefix and --from-key exclude each other')
  if (prefix) return { range: { prefix: key }, isOne: false }
  if (fromKey) return { range: { from: key }, isOne: false }
  if (end !== undefined) return { range: { from: key, to: end }, isOne: false }
  if (key === '') throw new UsageError('KEY must have at least one letter; with --prefix an empty one is every key')
  return { range: { key }, isOne: true }
}

/** How reads are to be served. */
export function readModeOf({ consistency }: FlagValues<typeof consistencyFlags>): ReadMode {
  if (consistency === undefined) return 'linearizable'
  if (consistency !== '' && 'linearizable'.startsWith(consistency)) return 'linearizable'
  if (consistency !== '' && 'serializable'.startsWith(consistency)) return 'serializable'
  throw new UsageError(`--consistency must be l or s, got ${JSON.stringify(consistency)}`)
}
