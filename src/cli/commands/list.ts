import type { KeyValue } from '../../index.js'
import { defineCommand } from '../command.js'
import { consistencyFlags, readModeOf } from '../key-range-flags.js'
import { bytesField, cellOf } from '../key-value-format.js'
import type { Column } from '../table.js'
import { formatBytes, integerFlag } from '../units.js'

const newline = Buffer.from('\n')

/** Lists keys without their values. */
export const listCommand = defineCommand({
  name: 'list',
  usage: '[PREFIX]',
  summary: 'list the keys with PREFIX, or all keys',
  details: ['With --long or --output table, also their sizes, versions, revisions and leases.'],
  flags: {
    long: { type: 'boolean', short: 'l', help: 'also sizes, versions, revisions and leases' },
    rev: { type: 'string', value: 'REVISION', help: 'list at this revision' },
    limit: { type: 'string', value: 'N', help: 'maximum number of keys' },
    ...consistencyFlags,
  },
  arity: [0, 1],
  async run({ output, client, signal }, { flags, args: [prefix = ''] }) {
    const isLong = flags.long === true || output.format === 'table'
    const limit = flags.limit === undefined ? Number.POSITIVE_INFINITY : integerFlag('limit', flags.limit)
    const revision = flags.rev === undefined ? undefined : integerFlag('rev', flags.rev)
    const maxPageSize = Math.min(limit, 10_000)
    const options = { revision, keysOnly: !isLong, mode: readModeOf(flags), maxPageSize, signal }
    const rows: string[][] = []
    let listed = 0
    for await (const kv of client().list({ prefix }, options)) {
      if (output.format === 'json') await output.json(entryOf(kv, isLong))
      else if (isLong) rows.push(rowOf(kv))
      else await output.write(Buffer.concat([kv.key, newline]))
      listed += 1
      if (listed >= limit) break
    }
    if (isLong && output.format !== 'json') await output.table(columns, rows)
    return 0
  },
})

const columns: readonly Column[] = [
  { title: 'KEY' },
  { title: 'SIZE', align: 'right' },
  { title: 'VERSION', align: 'right' },
  { title: 'MODIFIED', align: 'right' },
  { title: 'LEASE' },
]

function rowOf({ key, value, version, modRevision, lease }: KeyValue): string[] {
  return [cellOf(key, 100), formatBytes(value.length), String(version), String(modRevision), lease ?? '']
}

function entryOf({ key, value, version, modRevision, lease }: KeyValue, isLong: boolean): Record<string, unknown> {
  const name = bytesField('key', key)
  return { ...name, ...(isLong ? { valueBytes: value.length } : {}), version, modRevision, lease }
}
