import { setTimeout as sleep } from 'node:timers/promises'
import type { EtcdCluster, FaultProxy } from '../../src/testing/index.js'

/** What faults act on. */
export interface FaultTarget {
  readonly cluster: EtcdCluster
  readonly random: () => number
  /** History up to this revision may be compacted. */
  readonly compactable: () => number
}

/** Begins, lasts and ends; resolves when the cluster is whole again. */
type Fault = (target: FaultTarget) => Promise<void>

/** By name, as they are printed. */
export const faults: Readonly<Record<string, Fault>> = {
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
  freeze: onMember(async ({ cluster, random }, index) => {
    await cluster.pause(index)
    await sleep(1000 + random() * 5000)
    await cluster.resume(index)
  }),
  'leader freeze': async ({ cluster, random }) => {
    const leader = await cluster.leader()
    await cluster.pause(leader)
    await sleep(1000 + random() * 4000)
    await cluster.resume(leader)
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
  'black hole of answers': onProxy(async ({ random }, proxy) => {
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
  throttle: onProxy(async (_, proxy) => {
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
  'full database': async ({ cluster, random }) => {
    const alarm = { alarm: 'NOSPACE', memberID: '0' }
    await cluster.call('/v3/maintenance/alarm', { action: 'ACTIVATE', ...alarm })
    await sleep(random() * 1500)
    await cluster.call('/v3/maintenance/alarm', { action: 'DEACTIVATE', ...alarm })
  },
}

/** One fault after the other until the time is over. Calls `began` with the name of each. */
export async function makeFaults(
  target: FaultTarget,
  isOver: () => boolean,
  began: (name: string) => void,
): Promise<void> {
  const { cluster, random } = target
  const names = Object.keys(faults).filter((name) => cluster.members.length > 1 || name !== 'leader move')
  while (!isOver()) {
    await sleep(200 + random() * 1500)
    const name = names[Math.floor(random() * names.length)] ?? ''
    began(name)
    try {
      await faults[name]?.(target)
    } finally {
      for (const member of cluster.members) member.proxy?.heal()
    }
    await cluster.healthy()
  }
}

function onMember(act: (target: FaultTarget, index: number) => Promise<void>): Fault {
  return (target) => act(target, Math.floor(target.random() * target.cluster.members.length))
}

/** Acts on the link to one member, or to each of them. */
function onProxy(act: (target: FaultTarget, proxy: FaultProxy) => Promise<void>): Fault {
  return async (target) => {
    const proxies = target.cluster.members.flatMap(({ proxy }) => proxy ?? [])
    const one = proxies[Math.floor(target.random() * proxies.length)]
    const chosen = target.random() < 0.2 ? proxies : one === undefined ? [] : [one]
    await Promise.all(chosen.map((proxy) => act(target, proxy)))
  }
}

function decimalId(hexId: string): string {
  return BigInt(`0x${hexId}`).toString()
}
