import { defineCommand } from '../command.js'
import { consistencyFlags, readModeOf } from '../key-range-flags.js'
import { KeyTree } from '../key-tree.js'
import { formatBytes, formatNumber, integerFlag } from '../units.js'
import { UsageError } from '../usage-error.js'

/** Shows keys as a tree. */
export const treeCommand = defineCommand({
  name: 'tree',
  usage: '[PREFIX]',
  summary: 'show keys as a tree, with the number of keys and bytes below each branch',
  details: ['Reads all keys under PREFIX with their values, page by page, and keeps only the visible branches.'],
  flags: {
    depth: { type: 'string', value: 'N', help: 'maximum depth (3)' },
    entries: { type: 'string', value: 'N', help: 'maximum number of branches per level (20)' },
    separator: { type: 'string', value: 'TEXT', help: 'separator of names in a key (/)' },
    ...consistencyFlags,
  },
  arity: [0, 1],
  async run({ output, client, notes, signal }, { flags, args: [prefix = ''] }) {
    const separator = flags.separator ?? '/'
    if (separator === '') throw new UsageError('--separator must not be empty')
    const tree = new KeyTree({
      name: prefix,
      separator,
      depth: integerFlag('depth', flags.depth ?? '3'),
      entries: integerFlag('entries', flags.entries ?? '20'),
    })
    for await (const { kvs, count } of client()
      .list({ prefix }, { mode: readModeOf(flags), signal })
      .pages()) {
      for (const { key, value } of kvs) tree.add(key, value.length)
      notes.status(`${formatNumber(tree.root.keys)} keys, ${formatNumber(count - kvs.length)} to go`)
    }
    notes.clear()
    if (output.format === 'json') await output.json(tree.root)
    else await output.line(tree.lines(sizes(output.style)).join('\n'))
    return 0
  },
})

function sizes(style: (look: 'dim', text: string) => string): (keys: number, bytes: number) => string {
  return (keys, bytes) => style('dim', `${formatNumber(keys)} ${keys === 1 ? 'key' : 'keys'}, ${formatBytes(bytes)}`)
}
