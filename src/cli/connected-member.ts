import type { Context } from './command.js'
import { CommandFailed } from './failure.js'
import { MemberCalls } from './member-calls.js'
import { poll } from './poll.js'

/** A voting member that is connected, for a call that any of them answers. To be closed. */
export async function connectedMember({ client, clientOptions, signal }: Context): Promise<MemberCalls> {
  const etcd = client()
  await etcd.connect({ signal })
  const look = () => etcd.endpoints().find(({ state, role }) => state === 'ready' && role !== 'learner')
  const member = await poll(look, { timeoutMs: 5000, signal })
  if (member === undefined) throw new CommandFailed('no voting member is ready')
  return new MemberCalls(clientOptions, member.endpoint)
}
