import type { EtcdMember } from './etcd-member.js'
import { toHexId } from './gateway.js'

/**
 * Asks the voting members who leads. Returns the leader's id when a majority of all voters names it and it runs; a
 * paused leader is named by its followers until they elect another, and one that resumes names itself for a moment.
 */
export async function agreedLeader(voters: readonly EtcdMember[]): Promise<string | undefined> {
  const running = voters.filter(({ state }) => state === 'running')
  const named = await Promise.all(running.map(leaderSeenBy))
  const isLeader = ({ memberId }: EtcdMember) => named.filter((id) => id === memberId).length * 2 > voters.length
  return running.find(isLeader)?.memberId
}

async function leaderSeenBy(member: EtcdMember): Promise<string | undefined> {
  try {
    const { leader } = await member.call('/v3/maintenance/status', {}, 1000)
    return leader === undefined || leader === '0' ? undefined : toHexId(leader)
  } catch {
    return undefined
  }
}
