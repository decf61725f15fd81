import type { WatchEvent } from '../../index.js'
import { passOn, startProgram } from '../child-program.js'
import { type Context, defineCommand } from '../command.js'
import { orUnreachable } from '../first-connection.js'
import { keyRangeOf, rangeFlags } from '../key-range-flags.js'
import { cellOf, keyValueJson, keyValueLines } from '../key-value-format.js'
import type { Output } from '../output.js'
import { integerFlag, optionalIntegerFlag } from '../units.js'
import { UsageError } from '../usage-error.js'
import { goQuote } from '../wire/go-text.js'
import { type Json, jsonText } from '../wire/json-text.js'
import { fieldLines } from '../wire/message-fields.js'
import { etcdctlJson } from '../wire/message-json.js'

/** Prints changes of keys. */
export const watchCommand = defineCommand({
  name: 'watch',
  usage: 'KEY [END] [-- COMMAND [arguments]]',
  summary: 'print every change of a key, or of the keys from KEY up to END, until interrupted',
  details: [
    'Prints PUT or DELETE, the key and the value on separate lines; with --output json one object per line.',
    'With COMMAND, also runs it for each change and waits for it. ETCD_WATCH_REVISION, ETCD_WATCH_EVENT_TYPE,',
    'ETCD_WATCH_KEY and ETCD_WATCH_VALUE contain the change; key and value are quoted.',
  ],
  flags: {
    ...rangeFlags,
    rev: {
      type: 'string',
      value: 'REVISION',
      option: 'startRevision',
      help: 'start with the changes of this revision',
    },
    'prev-kv': { type: 'boolean', help: 'also print the previous value' },
    only: { type: 'string', value: 'put|delete', choices: ['put', 'delete'], help: 'only changes of this kind' },
    count: { type: 'string', value: 'N', help: 'exit after this number of changes' },
  },
  operands: { key: 'KEY' },
  arity: [1, 2],
  hasHook: true,
  async run(context, { flags, args, passedOn }) {
    const { output, client, signal } = context
    const { range } = keyRangeOf(args, flags)
    let left = flags.count === undefined ? Number.POSITIVE_INFINITY : integerFlag('count', flags.count)
    const etcd = client()
    const watcher = etcd.watch(range, {
      startRevision: optionalIntegerFlag('rev', flags.rev),
      prevKv: flags['prev-kv'],
      only: kindOf(flags.only),
      signal: orUnreachable(etcd, signal),
    })
    for await (const event of watcher) {
      // Changes that had arrived before are still delivered.
      signal.throwIfAborted()
      await print(output, event)
      if (passedOn.length > 0) await runFor(event, passedOn, context)
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
  if (output.format === 'json' && output.isEtcdctl) return output.line(jsonText(etcdctlForm(event, output.hex)))
  if (output.format === 'json') return output.json(jsonOf(event))
  if (output.format === 'table') return output.line(rowOf(event))
  if (output.format === 'fields') return output.line(fieldsOf(event, output).join('\n'))
  const { type, kv, prevKv } = event
  const kvs = prevKv === undefined ? [kv] : [prevKv, kv]
  return output.write(Buffer.concat([Buffer.from(`${type.toUpperCase()}\n`), keyValueLines(kvs, output)]))
}

/** The header has the revision only: watches of one client share a stream, and change members. */
function etcdctlForm({ type, kv, prevKv, revision }: WatchEvent, hex: boolean): Json {
  const event = etcdctlJson({ type: type.toUpperCase(), kv, prevKv }, 'Event', hex)
  const rest = { CompactRevision: 0, Canceled: false, Created: false, CancelReason: '' }
  return { Header: { revision }, Events: [event], ...rest }
}

function fieldsOf({ type, kv, prevKv, revision }: WatchEvent, { hex }: Output): string[] {
  const before = prevKv === undefined ? [] : fieldLines(prevKv, 'KeyValue', { hex, prefix: 'Prev' })
  const head = [`"Revision" : ${revision}`, `"Type" : ${type.toUpperCase()}`]
  return [...head, ...before, ...fieldLines(kv, 'KeyValue', { hex })]
}

/** Runs a command with a change in its environment. Its failure does not end the watch. */
async function runFor(
  { type, kv, revision }: WatchEvent,
  words: readonly string[],
  { env, notes, signal, stdin }: Context,
): Promise<void> {
  signal.throwIfAborted()
  const { child, ended } = startProgram(words, {
    ...env,
    ETCD_WATCH_REVISION: String(revision),
    ETCD_WATCH_EVENT_TYPE: JSON.stringify(type.toUpperCase()),
    ETCD_WATCH_KEY: goQuote(kv.key),
    ETCD_WATCH_VALUE: goQuote(kv.value),
  })
  const onInterrupt = (): void => passOn(signal.reason, child, stdin.isTTY === true)
  signal.addEventListener('abort', onInterrupt, { once: true })
  try {
    const status = await ended
    if (status !== 0) notes.line(`${words[0]} exited with ${status}`)
  } finally {
    signal.removeEventListener('abort', onInterrupt)
  }
}

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
