import type { Context, Flags, FlagValues } from '../command.js'
import { integerFlag } from '../units.js'
import { firstOf, portionOf, shareOf } from './share.js'

/** Flags of every benchmark; they have the names and defaults of etcd's own tool. */
export const benchFlags = {
  conns: { type: 'string', value: 'N', help: 'clients, each with separate connections to the members (1)' },
  clients: { type: 'string', value: 'N', help: 'operations in flight, over all connections (1)' },
  total: { type: 'string', value: 'N', help: 'operations in all (10000)' },
  rate: {
    type: 'string',
    value: 'N',
    help: 'operations per second; each is measured from when it was due (0: no limit)',
  },
  processes: { type: 'string', value: 'N', help: 'processes that share the load, one core each (1)' },
  'target-leader': { type: 'boolean', help: 'connect to the leader only' },
  html: { type: 'string', value: 'FILE', isOutput: true, help: 'write a page with charts, too' },
} as const satisfies Flags

/** Flags of the benchmarks that write keys. */
export const keyFlags = {
  'key-size': { type: 'string', value: 'BYTES', help: 'size of a key, behind the prefix (8)' },
  'val-size': { type: 'string', value: 'BYTES', help: 'size of a value (8)' },
  'key-space-size': { type: 'string', value: 'N', help: 'how many different keys (1)' },
  'sequential-keys': { type: 'boolean', help: 'keys one after the other, not at random' },
  prefix: { type: 'string', value: 'TEXT', help: 'what all keys begin with (etcdkit-bench/)' },
  keep: { type: 'boolean', help: 'leave the keys there at the end' },
} as const satisfies Flags

/** What the common flags say. */
export interface BenchSettings {
  readonly conns: number
  readonly clients: number
  readonly total: number
  /** The number of the first operation: not 0 where other processes make those before it. */
  readonly first: number
  readonly rate: number
  readonly targetLeader: boolean
  readonly html: string | undefined
}

/** What the flags for keys say. */
export interface KeySettings {
  readonly keyBytes: number
  readonly valueBytes: number
  readonly keySpace: number
  readonly sequential: boolean
  readonly prefix: string
  readonly keep: boolean
}

const defaultCounts = { conns: '1', clients: '1', total: '10000' } as const

/** A count of the whole benchmark, whichever process asks. */
export function countFlag(name: keyof typeof defaultCounts, flags: Readonly<Record<string, unknown>>): number {
  return integerFlag(name, String(flags[name] ?? defaultCounts[name]))
}

/** Reads the common flags, as far as they concern this process. */
export function benchSettings(flags: FlagValues<typeof benchFlags>, { env }: Pick<Context, 'env'>): BenchSettings {
  const share = shareOf(env)
  const total = countFlag('total', flags)
  return {
    conns: Math.max(1, portionOf(countFlag('conns', flags), share)),
    clients: portionOf(countFlag('clients', flags), share),
    total: portionOf(total, share),
    first: firstOf(total, share),
    rate: integerFlag('rate', flags.rate ?? '0', 0) / share.of,
    targetLeader: flags['target-leader'] ?? false,
    html: flags.html,
  }
}

/** Reads the flags for keys. */
export function keySettings(flags: FlagValues<typeof keyFlags>): KeySettings {
  return {
    keyBytes: integerFlag('key-size', flags['key-size'] ?? '8'),
    valueBytes: integerFlag('val-size', flags['val-size'] ?? '8', 0),
    keySpace: integerFlag('key-space-size', flags['key-space-size'] ?? '1'),
    sequential: flags['sequential-keys'] ?? false,
    prefix: flags.prefix ?? 'etcdkit-bench/',
    keep: flags.keep ?? false,
  }
}
