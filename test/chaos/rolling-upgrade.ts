import { setTimeout as sleep } from 'node:timers/promises'
import { Etcd } from '../../src/index.js'
import { compareVersions, seriesOf } from '../../src/testing/etcd-version.js'
import { findEtcd, poll } from '../../src/testing/index.js'
import { type Disturbance, type FaultTarget, shuffled } from './faults.js'

/**
 * A member can read the log of the release before its own, and no older one. It forgets the log at a snapshot, which it
 * takes after 10,000 entries by default.
 */
export const snapshotCount = 100

/** Each member runs for this long between other versions before the next is replaced, in milliseconds. */
const mixedMs = 2500

/**
 * Takes a cluster from version to version, member by member in a random order. Where the next version is older, it is
 * announced first, as `etcdctl downgrade enable` does.
 */
export function rollingUpgrade(versions: readonly string[], log: (line: string) => void): Disturbance {
  return async (target, isOver, counts) => {
    for (const wanted of versions) {
      const { version } = await findEtcd(wanted)
      const current = target.cluster.members[0]?.version ?? ''
      const isDowngrade = compareVersions(version, current) < 0
      if (isDowngrade) await announceDowngrade(target, seriesOf(version))
      for (const index of shuffled(target.random, [...target.cluster.members.keys()])) {
        counts.began(`to ${version}`)
        await replace(target, index, version)
      }
      await arrived(target, version)

      await forgotten(target)
      log(`${current} → ${version}${isDowngrade ? ' (downgrade)' : ''}`)
    }
    if (isOver()) throw new Error('the traffic ended before the last version was reached: allow more --minutes')
  }
}

async function replace({ cluster }: FaultTarget, index: number, version: string): Promise<void> {
  await cluster.terminate(index)
  await cluster.restart(index, { version })
  await cluster.healthy()
  await sleep(mixedMs)
  const ended = cluster.members.find(({ state }) => state === 'stopped')
  if (ended !== undefined) throw new Error(`${ended.name} of etcd ${ended.version} ended: ${ended.log().slice(-4000)}`)
}

/** The members write their data in the older format before the first is replaced. */
async function announceDowngrade({ cluster }: FaultTarget, series: string): Promise<void> {
  await using etcd = adminOf(cluster)
  await etcd.maintenance.downgrade.validate(series)
  await etcd.maintenance.downgrade.enable(series)
  await poll(
    `the data has the format of ${series}`,
    async () => {
      const statuses = await etcd.maintenance.statuses()
      return statuses.every((status) => status.ok && status.value.storageVersion?.startsWith(series)) || undefined
    },
    { timeoutMs: 30_000 },
  )
}

/** The cluster version follows the members, and no downgrade remains. */
async function arrived({ cluster }: FaultTarget, version: string): Promise<void> {
  await using etcd = adminOf(cluster)
  const check = async (): Promise<true> => {
    const state = { cluster: await clusterVersion(cluster), statuses: await etcd.maintenance.statuses() }
    const isEach = state.statuses.every(
      (status) => status.ok && status.value.version === version && status.value.downgradeTarget === undefined,
    )
    if (!isEach || !state.cluster.startsWith(seriesOf(version))) throw new Error(JSON.stringify(state))
    return true
  }
  await poll(`the cluster runs ${version}`, check, { timeoutMs: 30_000 })
}

/** The traffic has made each member take a snapshot, so that nothing of an older version is left in its log. */
async function forgotten({ cluster }: FaultTarget): Promise<void> {
  await using etcd = adminOf(cluster)
  const applied = async (): Promise<number> => {
    const statuses = await etcd.maintenance.statuses()
    return Math.min(...statuses.map((status) => (status.ok ? status.value.raftAppliedIndex : 0)))
  }
  const until = (await applied()) + 2 * snapshotCount
  await poll('each member has taken a snapshot', async () => (await applied()) > until || undefined, {
    timeoutMs: 30_000,
  })
}

async function clusterVersion({ members }: FaultTarget['cluster']): Promise<string> {
  const response = await fetch(`${members[0]?.clientUrl}/version`)
  const { etcdcluster } = (await response.json()) as { etcdcluster: string }
  return etcdcluster
}

function adminOf({ members }: FaultTarget['cluster']): Etcd {
  return new Etcd({ endpoints: members.map(({ clientUrl }) => clientUrl) })
}
