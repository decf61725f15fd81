import { defineCommand } from '../command.js'
import { keyRangeOf, rangeFlags } from '../key-range-flags.js'
import { keyValueJson } from '../key-value-format.js'

/** Deletes keys. */
export const delCommand = defineCommand({
  name: 'del',
  usage: 'KEY [END]',
  summary: 'delete a key, or the keys from KEY up to END',
  details: ['Prints the number of deleted keys.'],
  flags: { ...rangeFlags, 'prev-kv': { type: 'boolean', help: 'print the deleted keys and values' } },
  arity: [1, 2],
  async run({ output, client, signal }, { flags, args }) {
    const { range } = keyRangeOf(args, flags)
    const { revision, deleted, prevKvs } = await client().deleteRange(range, { prevKv: flags['prev-kv'], signal })
    if (output.format === 'json') {
      await output.json({ revision, deleted, prevKvs: prevKvs.map((kv) => keyValueJson(kv)) })
      return 0
    }
    await output.line(String(deleted))
    for (const { key, value } of prevKvs) await output.write(Buffer.concat([key, newline, value, newline]))
    return 0
  },
})

const newline = Buffer.from('\n')
