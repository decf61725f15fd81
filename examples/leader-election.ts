/**
 * Three candidates for one leadership. The leader loses its lease without knowing it yet, like a process that was suspended
 * for too long, and its next write is rejected: `npx tsx examples/leader-election.ts`.
 */
import { once } from 'node:events'
import { Etcd, type Leadership, put } from 'etcdkit'
import { EtcdCluster } from 'etcdkit/testing'

await using cluster = await EtcdCluster.start({ members: 3 })
await using observer = new Etcd({ endpoints: cluster.endpoints })

// Any client can observe the leader.
const watching = new AbortController()
const observing = (async () => {
  for await (const leader of observer.election('scheduler').observe({ signal: watching.signal })) {
    console.log(leader === null ? '    no leader' : `    leader: ${leader.valueText}`)
  }
})().catch(() => {})

/** A write that only the leader may make: the guard makes leadership a condition of the transaction. */
async function writePlan(name: string, etcd: Etcd, leadership: Leadership): Promise<void> {
  const write = put('plan', `by ${name}, term ${leadership.fence}`)
  const { succeeded } = await etcd.txn().if(leadership.guard()).then(write).commit()
  console.log(`${name}: ${succeeded ? 'wrote the plan' : 'rejected, no longer the leader'}`)
}

async function leadOnce(name: string): Promise<void> {
  await using etcd = new Etcd({ endpoints: cluster.endpoints })
  await using leadership = await etcd.election('scheduler', { ttlSeconds: 5 }).campaign(name)
  await writePlan(name, etcd, leadership)
}

await using stopped = new Etcd({ endpoints: cluster.endpoints })
const leadership = await stopped.election('scheduler', { ttlSeconds: 5 }).campaign('a')
await writePlan('a', stopped, leadership)
const others = [leadOnce('b'), leadOnce('c')] // they queue

const lost = once(leadership.signal, 'abort')
const lease = (await observer.get(leadership.keyText))?.lease ?? ''
await observer.lease.revoke(lease)
await writePlan('a', stopped, leadership)
await lost
console.log(`a: notified, isLeader() is ${leadership.isLeader()}`)

await Promise.all(others)
console.log(`the plan is ${(await observer.get('plan'))?.valueText}`)
watching.abort()
await observing
