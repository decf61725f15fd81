import { deleteRange } from '../../index.js'
import type { DeleteRangeRequest } from '../../protobuf/generated/messages.js'
import { methods } from '../../protobuf/methods.js'
import { defineCommand, type Flags, type FlagValues } from '../command.js'
import { keyRangeOf, rangeFlags } from '../key-range-flags.js'
import { keyValueLines } from '../key-value-format.js'
import { unary } from '../wire/calls.js'
import { print } from '../wire/print.js'

const flags = {
  ...rangeFlags,
  range: { type: 'boolean', help: 'accepted for etcdctl: END alone selects a range' },
  'prev-kv': { type: 'boolean', help: 'print the deleted keys and values' },
} as const satisfies Flags

/** Deletes keys. */
export const delCommand = defineCommand({
  name: 'del',
  usage: 'KEY [END]',
  summary: 'delete a key, or the keys from KEY up to END',
  details: ['Prints the number of deleted keys.'],
  flags,
  operands: { key: 'KEY' },
  arity: [1, 2],
  async run({ output, client, signal }, { flags, args }) {
    const message = await unary(client(), methods.KV.DeleteRange, deleteRequestOf(args, flags), { signal })
    const lines = keyValueLines(message.prevKvs, output)
    const text = Buffer.concat([Buffer.from(`${message.deleted}\n`), lines])
    await print(output, { type: 'DeleteRangeResponse', message, text })
    return 0
  },
})

/** The request for a command line; the command of transactions makes it, too. */
export function deleteRequestOf(args: readonly string[], values: FlagValues<typeof flags>): DeleteRangeRequest {
  const { range } = keyRangeOf(args, values)
  return deleteRange(range, { prevKv: values['prev-kv'] }).request.requestDeleteRange ?? {}
}
