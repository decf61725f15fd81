import { setTimeout as sleep } from 'node:timers/promises'
import type { EtcdCluster, FaultProxy } from '../../src/testing/index.js'
import { exhaustQuota } from './quota.js'
import type { FaultLog } from './report.js'

/** What faults act on. */
export interface FaultTarget {
  readonly cluster: EtcdCluster
  readonly random: () => number
  /** Process ids of the workers. */
  readonly workers: readonly number[]
  /** History up to this revision may be compacted: all watches have delivered it. */
  readonly compactable: () => number
  /** The cluster has other members than before. */
  readonly membersChanged: () => void
  /** Makes the tokens of all workers invalid; `undefined` without authentication. */
  readonly expireTokens: (() => Promise<void>) | undefined
  /** Replaces the certificates of members and workers; `undefined` without TLS. */
  readonly rotateCertificates: (() => void) | undefined
}

/** Begins, lasts and ends. What it leaves behind is put right afterwards. */
type Fault = (target: FaultTarget) => Promise<void>

/**
 * A leader that was frozen for longer than a lease lives may revoke it when it goes on, although the next leader has renewed it
 * ([etcd#15247](https://github.com/etcd-io/etcd/issues/15247); the check that was added is skipped once a tick has passed). No
 * client can prevent two holders of a lock then. All leases of a run live longer than this.
 */
const maxLeaderFreezeMs = 2000

/** By name, as they are printed. */
const faults: Readonly<Record<string, Fault>> = {
  kill: onMember(async ({ cluster, random }, index) => {
    await cluster.kill(index)
    await sleep(random() * 3000)
    await cluster.restart(index)
  }),
  restart: onMember(({ cluster }, index) => cluster.restart(index)),
  'graceful stop': onMember(async ({ cluster, random }, index) => {
    await cluster.terminate(index)
    await sleep(random() * 1000)
    await cluster.restart(index)
  }),
  freeze: async ({ cluster, random }) => {
    const leader = await cluster.leader()
    const others = present(cluster).filter((index) => index !== leader)
    const index = others[Math.floor(random() * others.length)] ?? leader
    await cluster.pause(index)
    await sleep(1000 + random() * 5000)
    await cluster.resume(index)
  },
  'leader freeze': async ({ cluster, random }) => {
    const leader = await cluster.leader()
    await cluster.pause(leader)
    await sleep(maxLeaderFreezeMs * (0.4 + random() * 0.6))
    await cluster.resume(leader)
  },
  'worker freeze': async ({ workers, random }) => {
    const pid = workers[Math.floor(random() * workers.length)]
    if (pid === undefined) return
    process.kill(pid, 'SIGSTOP')
    await sleep(1000 + random() * 6000)
    process.kill(pid, 'SIGCONT')
  },
  cut: onProxy(async ({ random }, proxy) => {
    for (let times = 0; times < 5; times++) {
      proxy.cut()
      await sleep(random() * 300)
    }
  }),
  refuse: onProxy(async ({ random }, proxy) => {
    proxy.refuse()
    proxy.cut()
    await sleep(random() * 3000)
  }),
  'black hole': onProxy(async ({ random }, proxy) => {
    proxy.blackhole('both')
    await sleep(random() * 6000)
  }),
  'black hole of responses': onProxy(async ({ random }, proxy) => {
    proxy.blackhole('down', { bytes: 'lost' })
    await sleep(random() * 4000)
  }),
  'black hole of requests': onProxy(async ({ random }, proxy) => {
    proxy.blackhole('up', { bytes: 'lost' })
    await sleep(random() * 4000)
  }),
  delay: onProxy(async ({ random }, proxy) => {
    proxy.delay(random() * 300)
    await sleep(3000)
  }),
  'throttle to 1 Mbit/s': onProxy(async (_, proxy) => {
    proxy.throttle(125_000)
    await sleep(4000)
  }),
  'half-open': onProxy(async ({ random }, proxy) => {
    proxy.halfOpen(random() < 0.5 ? 'down' : 'up')
    await sleep(random() * 3000)
  }),
  'reset in a message': onProxy(async ({ random }, proxy) => {
    for (let times = 0; times < 20; times++) {
      const direction = random() < 0.5 ? 'down' : 'up'
      await Promise.race([proxy.cutAfter({ direction, bytes: Math.floor(random() * 2000) }), sleep(200)])
    }
  }),
  'leader move': async ({ cluster, random }) => {
    const leader = await cluster.leader()
    const others = cluster.members.filter(
      ({ state, isLearner }, index) => index !== leader && state === 'running' && !isLearner,
    )
    const target = others[Math.floor(random() * others.length)]
    if (target === undefined) return
    await cluster.members[leader]?.call('/v3/maintenance/transfer-leadership', { targetID: decimalId(target.memberId) })
  },
  compaction: async ({ cluster, compactable }) => {
    const revision = compactable()
    if (revision > 0) await cluster.call('/v3/kv/compaction', { revision: String(revision) })
  },
  defragmentation: onMember(async ({ cluster }, index) => {
    await cluster.members[index]?.call('/v3/maintenance/defragment', {}, 20_000)
  }),
  'exhausted quota': onMember(exhaustQuota),
  'replaced member': onMember(async ({ cluster, random, membersChanged }, index) => {
    await cluster.removeMember(index)
    membersChanged()
    const added = await cluster.addLearner()
    membersChanged()
    await sleep(random() * 1000)
    await cluster.promote(added)
  }),
  'expired tokens': async ({ expireTokens }) => expireTokens?.(),
  'rotated certificates': async ({ cluster, rotateCertificates }) => {
    rotateCertificates?.()
    for (const { proxy } of cluster.members) proxy?.cut()
  },
}

/** Faults of members that others must outlive. */
const needOthers = ['leader move', 'replaced member']

/** Disturbs a cluster, at most until the time is over, and log what it does. */
export type Disturbance = (target: FaultTarget, isOver: () => boolean, log: FaultLog) => Promise<void>

/**
 * One fault after the other until the time is over; each happens once before one happens again. The cluster may
 * refuse one because of what is still going on in it.
 */
export async function makeFaults(target: FaultTarget, isOver: () => boolean, log: FaultLog): Promise<void> {
  const { cluster, random, membersChanged } = target
  const size = cluster.members.length
  let left: string[] = []
  while (!isOver()) {
    await sleep(200 + random() * 1500)
    if (left.length === 0) left = shuffled(random, possibleFaults(target))
    const name = left.pop() ?? ''
    log.began(name)
    try {
      await faults[name]?.(target)
    } catch (error) {
      log.refused(name, error)
    }
    log.ended()
    await restore(cluster, size, membersChanged)
  }
}

function possibleFaults({ cluster, expireTokens, rotateCertificates }: FaultTarget): string[] {
  const impossible = [
    ...(cluster.members.length > 1 ? [] : needOthers),
    ...(expireTokens === undefined ? ['expired tokens'] : []),
    ...(rotateCertificates === undefined ? ['rotated certificates'] : []),
  ]
  return Object.keys(faults).filter((name) => !impossible.includes(name))
}

/** The items in a random order. */
export function shuffled<Item>(random: () => number, items: readonly Item[]): Item[] {
  const order = items.map((item) => ({ item, at: random() }))
  return order.sort((a, b) => a.at - b.at).map(({ item }) => item)
}

/** Ends what a fault has left behind, also one that was refused half-way, and waits until all members serve. */
async function restore(cluster: EtcdCluster, size: number, membersChanged: () => void): Promise<void> {
  for (const [index, { proxy, state }] of cluster.members.entries()) {
    proxy?.heal()
    if (state === 'paused') await cluster.resume(index)
    if (state === 'stopped') await cluster.restart(index)
  }
  // On a busy machine, elections take several attempts.
  await cluster.healthy().catch(() => cluster.healthy())
  for (const [index, { isLearner, state }] of cluster.members.entries()) {
    if (isLearner && state === 'running') await cluster.promote(index)
  }
  while (present(cluster).length < size) {
    await cluster.addMember()
    membersChanged()
  }
}

function onMember(act: (target: FaultTarget, index: number) => Promise<void>): Fault {
  return async (target) => {
    const indexes = present(target.cluster)
    const index = indexes[Math.floor(target.random() * indexes.length)]
    if (index !== undefined) await act(target, index)
  }
}

/** The indexes of the members that have not been removed. */
function present({ members }: EtcdCluster): number[] {
  return [...members.keys()].filter((index) => members[index]?.state !== 'removed')
}

/** Acts on the link to one member, or to each of them. */
function onProxy(act: (target: FaultTarget, proxy: FaultProxy) => Promise<void>): Fault {
  return async (target) => {
    const { cluster, random } = target
    const proxies = present(cluster).flatMap((index) => cluster.members[index]?.proxy ?? [])
    const one = proxies[Math.floor(random() * proxies.length)]
    const chosen = random() < 0.2 ? proxies : one === undefined ? [] : [one]
    await Promise.all(chosen.map((proxy) => act(target, proxy)))
  }
}

function decimalId(hexId: string): string {
  return BigInt(`0x${hexId}`).toString()
}
