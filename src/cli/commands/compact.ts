import { methods } from '../../protobuf/methods.js'
import { integerFlag } from '../units.js'
import { defineRpc } from '../wire/rpc-command.js'

/** Discards history. */
export const compactCommand = defineRpc({
  name: 'compact',
  aliases: ['compaction'],
  usage: 'REVISION',
  summary: 'discard the history of all keys before a revision',
  details: ['Reads and watches from earlier revisions fail afterwards. The current values stay.'],
  flags: { physical: { type: 'boolean', help: 'wait until the history is deleted from the database of the member' } },
  arity: [1, 1],
  method: methods.KV.Compact,
  request: ({ flags, args: [revision = ''] }) => ({
    revision: integerFlag('REVISION', revision),
    physical: flags.physical,
  }),
  text: (_, { args: [revision] }) => `compacted revision ${revision}`,
})
