import type { LockHolder } from '../../index.js'
import { type Context, defineCommand } from '../command.js'
import { orUnreachable } from '../first-connection.js'
import { ttlFlagSeconds } from '../units.js'
import { UsageError } from '../usage-error.js'
import { untilAborted } from './lock.js'

/** Campaigns in an election or observes it. */
export const electCommand = defineCommand({
  name: 'elect',
  usage: 'NAME [PROPOSAL]',
  summary: 'campaign with PROPOSAL and lead until interrupted, or print the leader',
  details: [
    'Waits until elected, prints the key and the proposal, and leads until SIGINT or SIGTERM.',
    'With --listen, prints the leader’s key and proposal now and after every change.',
    'It interoperates with Go’s clientv3 and etcdctl elect.',
  ],
  flags: {
    listen: { type: 'boolean', short: 'l', help: 'print the leader without campaigning' },
    ttl: { type: 'string', value: 'DURATION', help: 'how long the leadership lasts after this process dies (10s)' },
  },
  operands: { name: 'NAME' },
  arity: [1, 2],
  async run(context, { flags, args: [name = '', proposal] }) {
    const { client, output, signal } = context
    const ttlSeconds = flags.ttl === undefined ? undefined : ttlFlagSeconds('ttl', flags.ttl)
    const etcd = client()
    const election = etcd.election(name, { ttlSeconds })
    if (flags.listen === true) {
      if (proposal !== undefined) throw new UsageError('PROPOSAL and --listen are mutually exclusive')
      for await (const leader of election.observe({ signal: orUnreachable(etcd, signal) })) await print(context, leader)
      return 0
    }
    if (proposal === undefined) throw new UsageError('elect needs a PROPOSAL, or --listen')
    const leadership = await election.campaign(proposal, { signal: orUnreachable(etcd, signal) })
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

async function print({ output }: Context, leader: LockHolder | null): Promise<void> {
  if (output.format === 'json') return output.json(leader ?? { key: null })
  if (leader !== null) await output.line(`${leader.keyText}\n${leader.valueText}`)
}
