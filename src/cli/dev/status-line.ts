import type { Etcd, MemberStatus } from '../../index.js'
import type { EtcdCluster } from '../../testing/index.js'
import { formatBytes, formatNumber } from '../units.js'

/** Less than the interval between two status lines. */
const timeoutMs = 900

/** The state of a cluster in one line. */
export async function statusLine(etcd: Etcd, cluster: EtcdCluster): Promise<string> {
  const [keys, ...statuses] = await Promise.all([
    known(etcd.count({ prefix: '' }, { mode: 'serializable', timeoutMs })),
    ...cluster.members.map(({ endpoint }) => known(etcd.maintenance.status({ endpoint, timeoutMs }))),
  ])
  const up = statuses.filter((status) => status !== undefined)
  return [
    leaderText(up, cluster),
    `revision ${formatNumber(Math.max(0, ...up.map(({ revision }) => revision)))}`,
    keys === undefined ? undefined : `${formatNumber(keys)} key${keys === 1 ? '' : 's'}`,
    formatBytes(Math.max(0, ...up.map(({ dbSizeBytes }) => dbSizeBytes))),
    `${up.length} of ${statuses.length} member${statuses.length === 1 ? '' : 's'} up`,
  ]
    .filter((part) => part !== undefined)
    .join(' · ')
}

function leaderText(statuses: readonly MemberStatus[], { members }: EtcdCluster): string {
  const leader = statuses.find(({ isLeader }) => isLeader)?.memberId
  const name = members.find(({ memberId }) => memberId === leader)?.name
  return name === undefined ? 'no leader' : `leader ${name}`
}

function known<Value>(call: Promise<Value>): Promise<Value | undefined> {
  return call.catch(() => undefined)
}
