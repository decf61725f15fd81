import type { LockHolder } from '../../index.js'
import { type Context, defineCommand } from '../command.js'
import { ttlFlagSeconds } from '../units.js'
import { UsageError } from '../usage-error.js'
import { untilAborted } from './lock.js'

/** Takes part in an election. */
export const electCommand = defineCommand({
  name: 'elect',
  usage: 'NAME [PROPOSAL]',
  summary: 'lead an election with a proposal until it is ended, or tell who leads',
  details: [
    'Waits to be elected, prints the key and the proposal, and leads until SIGINT or SIGTERM.',
    'With --listen, tells the leader’s key and proposal now and whenever they change.',
    'It interoperates with Go’s clientv3 and etcdctl elect.',
  ],
  flags: {
    listen: { type: 'boolean', short: 'l', help: 'tell who leads, take no part' },
    ttl: { type: 'string', value: 'DURATION', help: 'how long the leadership outlives this process (10s)' },
  },
  arity: [1, 2],
  async run(context, { flags, args: [name = '', proposal] }) {
    const { client, output, signal } = context
    const ttlSeconds = flags.ttl === undefined ? undefined : ttlFlagSeconds('ttl', flags.ttl)
    const election = client().election(name, { ttlSeconds })
    if (flags.listen === true) {
      if (proposal !== undefined) throw new UsageError('PROPOSAL and --listen exclude each other')
      for await (const leader of election.observe({ signal })) await tell(context, leader)
      return 0
    }
    if (proposal === undefined) throw new UsageError('elect needs a PROPOSAL, or --listen')
    const leadership = await election.campaign(proposal, { signal })
    try {
      const { keyText: key, fence } = leadership
      await (output.format === 'json'
        ? output.json({ key, value: proposal, fence })
        : output.line(`${key}\n${proposal}`))
      return await untilAborted(AbortSignal.any([signal, leadership.signal]))
    } finally {
      await leadership.resign()
    }
  },
})

async function tell({ output }: Context, leader: LockHolder | null): Promise<void> {
  if (output.format === 'json') return output.json(leader ?? { key: null })
  if (leader !== null) await output.line(`${leader.keyText}\n${leader.valueText}`)
}
