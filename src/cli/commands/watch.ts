import type { WatchEvent } from '../../index.js'
import { defineCommand } from '../command.js'
import { keyRangeOf, rangeFlags } from '../key-range-flags.js'
import { cellOf, keyValueJson } from '../key-value-format.js'
import type { Output } from '../output.js'
import { integerFlag } from '../units.js'
import { UsageError } from '../usage-error.js'

/** Prints changes of keys. */
export const watchCommand = defineCommand({
  name: 'watch',
  usage: 'KEY [END]',
  summary: 'print every change of a key, or of the keys from KEY up to END, until interrupted',
  details: ['Prints PUT or DELETE, the key and the value on separate lines; with --output json one object per line.'],
  flags: {
    ...rangeFlags,
    rev: { type: 'string', value: 'REVISION', help: 'start with the changes of this revision' },
    'prev-kv': { type: 'boolean', help: 'also print the previous value' },
    only: { type: 'string', value: 'put|delete', help: 'only changes of this kind' },
    count: { type: 'string', value: 'N', help: 'exit after this number of changes' },
  },
  arity: [1, 2],
  async run({ output, client, signal }, { flags, args }) {
    const { range } = keyRangeOf(args, flags)
    let left = flags.count === undefined ? Number.POSITIVE_INFINITY : integerFlag('count', flags.count)
    const watcher = client().watch(range, {
      startRevision: flags.rev === undefined ? undefined : integerFlag('rev', flags.rev),
      prevKv: flags['prev-kv'],
      only: kindOf(flags.only),
      signal,
    })
    for await (const event of watcher) {
      await print(output, event)
      left -= 1
      if (left <= 0) break
    }
    return 0
  },
})

function kindOf(only: string | undefined): 'put' | 'delete' | undefined {
  if (only === undefined || only === 'put' || only === 'delete') return only
  throw new UsageError(`--only must be put or delete, got ${JSON.stringify(only)}`)
}

function print(output: Output, event: WatchEvent): Promise<void> {
  if (output.format === 'json') return output.json(jsonOf(event))
  if (output.format === 'table') return output.line(rowOf(event))
  const { type, kv, prevKv } = event
  const before = prevKv === undefined ? [] : [prevKv.key, newline, prevKv.value, newline]
  return output.write(
    Buffer.concat([Buffer.from(`${type.toUpperCase()}\n`), ...before, kv.key, newline, kv.value, newline]),
  )
}

const newline = Buffer.from('\n')

function jsonOf({ type, kv, prevKv }: WatchEvent): Record<string, unknown> {
  const fields = keyValueJson(kv, type === 'delete')
  return { type, revision: kv.modRevision, ...fields, prevKv: prevKv && keyValueJson(prevKv) }
}

/** Changes come one by one, so the columns have a fixed width. */
function rowOf({ type, kv, prevKv }: WatchEvent): string {
  const before = prevKv === undefined ? '' : `  (was ${cellOf(prevKv.value)})`
  const cells = [String(kv.modRevision).padStart(10), type.padEnd(6), cellOf(kv.key, 80).padEnd(30)]
  const value = type === 'put' ? cellOf(kv.value) : ''
  return `${[...cells, value].join('  ').trimEnd()}${before}`
}
