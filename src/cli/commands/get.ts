import { type KeyRange, type KeyValue, range, type Sort } from '../../index.js'
import type { RangeRequest, RangeResponse } from '../../protobuf/generated/messages.js'
import { methods } from '../../protobuf/methods.js'
import { type Context, defineCommand, type Flags, type FlagValues } from '../command.js'
import { consistencyFlags, keyRangeOf, rangeFlags, readModeOf } from '../key-range-flags.js'
import { bytesField, keyValueColumns, keyValueJson, keyValueLines, keyValueRow } from '../key-value-format.js'
import type { Output } from '../output.js'
import { optionalIntegerFlag } from '../units.js'
import { UsageError } from '../usage-error.js'
import { unary } from '../wire/calls.js'
import { print as printMessage } from '../wire/print.js'

const flags = {
  ...rangeFlags,
  rev: { type: 'string', value: 'REVISION', option: 'revision', help: 'read at this revision' },
  limit: { type: 'string', value: 'N', option: 'limit', help: 'maximum number of keys' },
  'sort-by': {
    type: 'string',
    value: 'FIELD',
    choices: ['KEY', 'VERSION', 'CREATE', 'MODIFY', 'VALUE'],
    help: 'key, version, create, modify or value (key)',
  },
  order: { type: 'string', value: 'ORDER', choices: ['ASCEND', 'DESCEND'], help: 'ascend or descend (ascend)' },
  'keys-only': { type: 'boolean', help: 'omit the values' },
  'count-only': { type: 'boolean', help: 'print only the number of keys' },
  'print-value-only': { type: 'boolean', help: 'omit the keys' },
  'min-mod-rev': {
    type: 'string',
    value: 'REVISION',
    option: 'minModRevision',
    help: 'minimum revision of the last write',
  },
  'max-mod-rev': {
    type: 'string',
    value: 'REVISION',
    option: 'maxModRevision',
    help: 'maximum revision of the last write',
  },
  'min-create-rev': {
    type: 'string',
    value: 'REVISION',
    option: 'minCreateRevision',
    help: 'minimum revision of creation',
  },
  'max-create-rev': {
    type: 'string',
    value: 'REVISION',
    option: 'maxCreateRevision',
    help: 'maximum revision of creation',
  },
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
  operands: { key: 'KEY' },
  arity: [1, 2],
  async run(context, { flags, args }) {
    const { output } = context
    checkPrinted(flags)
    if (output.isEtcdctl && (output.format === 'json' || output.format === 'fields'))
      return document(context, args, flags)
    const { range, isOne } = keyRangeOf(args, flags)
    if (flags['count-only'] === true) return count(context, range, flags)
    const isPaged = !isOne && !hasBounds(flags)
    await print(output, isPaged ? readAll(context, range, flags) : (await response(context, args, flags)).kvs, flags)
    return 0
  },
})

/** The request for a command line; the command of transactions makes it, too. */
export function rangeRequestOf(args: readonly string[], flags: GetFlags): RangeRequest {
  const { range: keys } = keyRangeOf(args, flags)
  const { requestRange } = range(keys, {
    revision: revisionOf(flags),
    limit: optionalIntegerFlag('limit', flags.limit),
    sort: sortOf(flags),
    keysOnly: flags['keys-only'],
    minModRevision: optionalIntegerFlag('min-mod-rev', flags['min-mod-rev']),
    maxModRevision: optionalIntegerFlag('max-mod-rev', flags['max-mod-rev']),
    minCreateRevision: optionalIntegerFlag('min-create-rev', flags['min-create-rev']),
    maxCreateRevision: optionalIntegerFlag('max-create-rev', flags['max-create-rev']),
  }).request
  return { ...requestRange, countOnly: flags['count-only'], serializable: readModeOf(flags) === 'serializable' }
}

function response({ client, signal }: Context, args: readonly string[], flags: GetFlags): Promise<RangeResponse> {
  const request = rangeRequestOf(args, flags)
  return unary(client(), methods.KV.Range, request, { signal, isSerializable: request.serializable })
}

/** One response in one piece, as etcdctl prints it. */
async function document(context: Context, args: readonly string[], flags: GetFlags): Promise<number> {
  const message = await response(context, args, flags)
  await printMessage(context.output, { type: 'RangeResponse', message, text: undefined })
  return 0
}

async function count({ client, output, signal }: Context, range: KeyRange, flags: GetFlags): Promise<number> {
  const found = await client().count(range, { revision: revisionOf(flags), mode: readModeOf(flags), signal })
  await (output.format === 'json' ? output.json({ count: found }) : output.line(String(found)))
  return 0
}

const boundFlags = [
  'limit',
  'sort-by',
  'order',
  'min-mod-rev',
  'max-mod-rev',
  'min-create-rev',
  'max-create-rev',
] as const

function hasBounds(flags: GetFlags): boolean {
  return boundFlags.some((name) => flags[name] !== undefined)
}

function readAll({ client, signal }: Context, range: KeyRange, flags: GetFlags): AsyncIterable<KeyValue> {
  const keysOnly = flags['keys-only']
  return client().list(range, { revision: revisionOf(flags), keysOnly, mode: readModeOf(flags), signal })
}

function checkPrinted(flags: GetFlags): void {
  if (flags['keys-only'] === true && flags['print-value-only'] === true) {
    throw new UsageError('--keys-only and --print-value-only are mutually exclusive')
  }
}

async function print(
  output: Output,
  kvs: Iterable<KeyValue> | AsyncIterable<KeyValue>,
  flags: GetFlags,
): Promise<void> {
  const { 'keys-only': keysOnly = false, 'print-value-only': valueOnly = false } = flags
  if (output.format === 'table') return printTable(output, kvs)
  const omit = keysOnly ? 'value' : valueOnly ? 'key' : undefined
  for await (const kv of kvs) {
    if (output.format === 'json') {
      await output.json(valueOnly ? bytesField('value', kv.value) : keyValueJson(kv, keysOnly))
    } else {
      await output.write(keyValueLines([kv], { hex: output.hex, omit }))
    }
  }
}

async function printTable(output: Output, kvs: Iterable<KeyValue> | AsyncIterable<KeyValue>): Promise<void> {
  const rows: string[][] = []
  for await (const kv of kvs) rows.push(keyValueRow(kv))
  await output.table(keyValueColumns, rows)
}

function revisionOf(flags: GetFlags): number | undefined {
  return optionalIntegerFlag('rev', flags.rev)
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
