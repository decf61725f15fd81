import type { KeyRange, KeyValue, Sort } from '../../index.js'
import { type Context, defineCommand, type Flags, type FlagValues } from '../command.js'
import { consistencyFlags, keyRangeOf, rangeFlags, readModeOf } from '../key-range-flags.js'
import { bytesField, keyValueColumns, keyValueJson, keyValueRow } from '../key-value-format.js'
import type { Output } from '../output.js'
import { integerFlag } from '../units.js'
import { UsageError } from '../usage-error.js'

const flags = {
  ...rangeFlags,
  rev: { type: 'string', value: 'REVISION', help: 'read at this revision' },
  limit: { type: 'string', value: 'N', help: 'maximum number of keys' },
  'sort-by': { type: 'string', value: 'FIELD', help: 'key, version, create, modify or value (key)' },
  order: { type: 'string', value: 'ORDER', help: 'ascend or descend (ascend)' },
  'keys-only': { type: 'boolean', help: 'omit the values' },
  'count-only': { type: 'boolean', help: 'print only the number of keys' },
  'print-value-only': { type: 'boolean', help: 'omit the keys' },
  ...consistencyFlags,
} as const satisfies Flags

type GetFlags = FlagValues<typeof flags>

/** Reads keys. */
export const getCommand = defineCommand({
  name: 'get',
  usage: 'KEY [END]',
  summary: 'read a key, or the keys from KEY up to END',
  details: [
    'Prints each key and its value on separate lines; with --output json one object per line.',
    'A range of any size is read page by page at one revision. A missing key is not an error.',
  ],
  flags,
  arity: [1, 2],
  async run(context, { flags, args }) {
    const { range, isOne } = keyRangeOf(args, flags)
    if (flags['count-only'] === true) return count(context, range, flags)
    const kvs = isOne || hasBounds(flags) ? await readBounded(context, range, flags) : readAll(context, range, flags)
    await print(context.output, kvs, flags)
    return 0
  },
})

async function count({ client, output, signal }: Context, range: KeyRange, flags: GetFlags): Promise<number> {
  const found = await client().count(range, { revision: revisionOf(flags), mode: readModeOf(flags), signal })
  await (output.format === 'json' ? output.json({ count: found }) : output.line(String(found)))
  return 0
}

function hasBounds(flags: GetFlags): boolean {
  return flags.limit !== undefined || flags['sort-by'] !== undefined || flags.order !== undefined
}

async function readBounded({ client, signal }: Context, range: KeyRange, flags: GetFlags): Promise<KeyValue[]> {
  const { kvs } = await client().range(range, {
    revision: revisionOf(flags),
    limit: flags.limit === undefined ? undefined : integerFlag('limit', flags.limit),
    sort: sortOf(flags),
    keysOnly: flags['keys-only'],
    mode: readModeOf(flags),
    signal,
  })
  return kvs
}

function readAll({ client, signal }: Context, range: KeyRange, flags: GetFlags): AsyncIterable<KeyValue> {
  const keysOnly = flags['keys-only']
  return client().list(range, { revision: revisionOf(flags), keysOnly, mode: readModeOf(flags), signal })
}

async function print(
  output: Output,
  kvs: Iterable<KeyValue> | AsyncIterable<KeyValue>,
  flags: GetFlags,
): Promise<void> {
  const { 'keys-only': keysOnly = false, 'print-value-only': valueOnly = false } = flags
  if (keysOnly && valueOnly) throw new UsageError('--keys-only and --print-value-only are mutually exclusive')
  if (output.format === 'table') return printTable(output, kvs)
  for await (const kv of kvs) {
    if (output.format === 'json') {
      await output.json(valueOnly ? bytesField('value', kv.value) : keyValueJson(kv, keysOnly))
    } else {
      await output.write(simpleText(kv, keysOnly, valueOnly))
    }
  }
}

function simpleText({ key, value }: KeyValue, keysOnly: boolean, valueOnly: boolean): Buffer {
  const newline = Buffer.from('\n')
  return Buffer.concat([...(valueOnly ? [] : [key, newline]), ...(keysOnly ? [] : [value, newline])])
}

async function printTable(output: Output, kvs: Iterable<KeyValue> | AsyncIterable<KeyValue>): Promise<void> {
  const rows: string[][] = []
  for await (const kv of kvs) rows.push(keyValueRow(kv))
  await output.table(keyValueColumns, rows)
}

function revisionOf({ rev }: GetFlags): number | undefined {
  return rev === undefined ? undefined : integerFlag('rev', rev)
}

const sortTargets: Readonly<Record<string, Sort['target']>> = {
  key: 'key',
  version: 'version',
  create: 'createRevision',
  modify: 'modRevision',
  value: 'value',
}

function sortOf({ 'sort-by': by, order }: GetFlags): Sort | undefined {
  if (by === undefined && order === undefined) return undefined
  const target = sortTargets[(by ?? 'key').toLowerCase()]
  if (target === undefined) {
    throw new UsageError(`--sort-by must be one of ${Object.keys(sortTargets).join(', ')}, got ${JSON.stringify(by)}`)
  }
  const direction = (order ?? 'ascend').toLowerCase()
  if (direction === 'ascend' || direction === 'descend') return { target, order: direction }
  throw new UsageError(`--order must be ascend or descend, got ${JSON.stringify(order)}`)
}
