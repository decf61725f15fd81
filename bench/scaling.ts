/**
 * How the client's CPU grows with what there is: keys listed, ranges watched, leases kept alive, locks taken, each at 1, 10
 * and 100 times. What is asked for ten times as often may cost ten times as much, and not more.
 *
 *     npx tsx bench/scaling.ts
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { Etcd, put } from '../src/index.js'
import { EtcdCluster } from '../src/testing/index.js'

await using cluster = await EtcdCluster.start()
const value = Buffer.alloc(256, 'v')

/** The CPU of some work, in microseconds for each unit of it. */
async function cpuUs(units: number, work: () => Promise<void>): Promise<number> {
  const before = process.cpuUsage()
  await work()
  const { user, system } = process.cpuUsage(before)
  return (user + system) / units
}

function report(what: string, count: number, figures: string): void {
  console.log(`${what.padEnd(16)} ${String(count).padStart(7)}  ${figures}`)
}

async function listed(count: number): Promise<void> {
  await using etcd = new Etcd({ endpoints: cluster.endpoints })
  const prefix = `list-${count}/`
  for (let from = 0; from < count; from += 100) {
    const puts = Array.from({ length: 100 }, (_, index) => put(`${prefix}${from + index}`, value))
    await etcd
      .txn()
      .then(...puts)
      .commit()
  }
  const list = async (): Promise<void> => {
    for await (const _ of etcd.list({ prefix }));
  }
  await list()
  report('keys listed', count, `${(await cpuUs(count, list)).toFixed(2)} µs each`)
}

async function watched(count: number): Promise<void> {
  await using etcd = new Etcd({ endpoints: cluster.endpoints })
  const startedAt = performance.now()
  const watchers = Array.from({ length: count }, (_, index) => etcd.watch({ prefix: `watch/${index}/` }))
  await Promise.all(watchers.map((watcher) => watcher.ready()))
  const readyMs = performance.now() - startedAt
  const events = 5000
  const each = Math.ceil(events / count)
  const cost = await cpuUs(each * count, async () => {
    const reading = watchers.map(async (watcher) => {
      let left = each
      for await (const _ of watcher) if (--left === 0) return
    })
    await using writer = new Etcd({ endpoints: cluster.endpoints })
    for (let round = 0; round < each; round += 1) {
      await Promise.all(watchers.map((_, index) => writer.put(`watch/${index}/${round}`, value)))
    }
    await Promise.all(reading)
  })
  report(
    'ranges watched',
    count,
    `there after ${readyMs.toFixed(0)} ms, ${cost.toFixed(1)} µs for an event and its put`,
  )
}

async function keptAlive(count: number): Promise<void> {
  await using etcd = new Etcd({ endpoints: cluster.endpoints })
  await Promise.all(Array.from({ length: count }, () => etcd.lease.grant(3)))
  const seconds = 9
  const cost = await cpuUs(count * seconds, () => sleep(seconds * 1000))
  report('leases kept', count, `${cost.toFixed(1)} µs each and second, with a TTL of 3 s`)
}

async function locked(count: number): Promise<void> {
  await using etcd = new Etcd({ endpoints: cluster.endpoints })
  const takers = Array.from({ length: count * 10 }, (_, index) => `lock/${index % count}`)
  const startedAt = performance.now()
  const cost = await cpuUs(takers.length, async () => {
    await Promise.all(takers.map((name) => etcd.withLock(name, { ttlSeconds: 10, timeoutMs: 60_000 }, () => sleep(1))))
  })
  const perSecond = takers.length / ((performance.now() - startedAt) / 1000)
  report('locks, 10 each', count, `${cost.toFixed(0)} µs an acquisition, ${perSecond.toFixed(0)}/s`)
}

for (const [measure, base] of [
  [listed, 1000],
  [watched, 10],
  [keptAlive, 20],
  [locked, 10],
] as const) {
  await measure(base) // warms up
  for (const times of [1, 10, 100]) await measure(base * times)
}
