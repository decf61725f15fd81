import { setTimeout as sleep } from 'node:timers/promises'
import { type EtcdCluster, type GatewayMessage, poll } from '../../src/testing/index.js'

/** A write that a member with an exhausted quota refuses. */
const write = { key: Buffer.from('fill').toString('base64'), value: '' }

/**
 * Restarts a member with a quota below the size of its database: the next write to it raises the alarm, and all members
 * refuse writes. The way out is etcd's own: compact, defragment, raise the quota, disarm.
 */
export async function exhaustQuota(
  { cluster, random, compactable }: { cluster: EtcdCluster; random: () => number; compactable: () => number },
  index: number,
): Promise<void> {
  await cluster.restart(index, { flags: { 'quota-backend-bytes': 4096 } })
  try {
    await poll('the alarm is raised', async () => {
      await cluster.members[index]?.call('/v3/kv/put', write, 2000).catch(() => {})
      return (await alarms(cluster)).length > 0 || undefined
    })
    await sleep(random() * 1500)
    const revision = compactable()
    if (revision > 0) await cluster.call('/v3/kv/compaction', { revision: String(revision) }).catch(() => {})
    await cluster.members[index]?.call('/v3/maintenance/defragment', {}, 20_000)
  } finally {
    await cluster.restart(index, { flags: { 'quota-backend-bytes': undefined } })
    await poll('no alarm is left', async () => {
      for (const alarm of await alarms(cluster)) {
        await cluster.call('/v3/maintenance/alarm', {
          action: 'DEACTIVATE',
          alarm: 'NOSPACE',
          memberID: alarm.memberID,
        })
      }
      return (await alarms(cluster)).length === 0 || undefined
    })
  }
}

async function alarms(cluster: EtcdCluster): Promise<GatewayMessage[]> {
  const { alarms: active = [] } = await cluster.call('/v3/maintenance/alarm', { action: 'GET', alarm: 'NONE' })
  return active as GatewayMessage[]
}
