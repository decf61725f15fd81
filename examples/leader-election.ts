/**
 * Three candidates, of which one leads. It loses its lease and does not know yet, as one that was stopped for too long, and
 * what it writes then is refused: `npx tsx examples/leader-election.ts`.
 */
import { once } from 'node:events'
import { Etcd, type Leadership, put } from 'etcdkit'
import { EtcdCluster } from 'etcdkit/testing'

await using cluster = await EtcdCluster.start({ members: 3 })
await using observer = new Etcd({ endpoints: cluster.endpoints })

// Everybody can know who leads.
const watching = new AbortController()
const observing = (async () => {
  for await (const leader of observer.election('scheduler').observe({ signal: watching.signal })) {
    console.log(leader === null ? '    nobody leads' : `    ${leader.valueText} leads`)
  }
})().catch(() => {})

/** What only the leader may do: the guard makes it a part of the write that it still leads. */
async function writePlan(name: string, etcd: Etcd, leadership: Leadership): Promise<void> {
  const write = put('plan', `by ${name}, term ${leadership.fence}`)
  const { succeeded } = await etcd.txn().if(leadership.guard()).then(write).commit()
  console.log(`${name}: ${succeeded ? 'has written the plan' : 'was refused, it leads no more'}`)
}

async function leadOnce(name: string): Promise<void> {
  await using etcd = new Etcd({ endpoints: cluster.endpoints })
  await using leadership = await etcd.election('scheduler', { ttlSeconds: 5 }).campaign(name)
  await writePlan(name, etcd, leadership)
}

await using stopped = new Etcd({ endpoints: cluster.endpoints })
const leadership = await stopped.election('scheduler', { ttlSeconds: 5 }).campaign('a')
await writePlan('a', stopped, leadership)
const others = [leadOnce('b'), leadOnce('c')] // they wait, in order

const lost = once(leadership.signal, 'abort')
const lease = (await observer.get(leadership.keyText))?.lease ?? ''
await observer.lease.revoke(lease)
await writePlan('a', stopped, leadership)
await lost
console.log(`a: has heard of it, isLeader() is ${leadership.isLeader()}`)

await Promise.all(others)
console.log(`the plan is ${(await observer.get('plan'))?.valueText}`)
watching.abort()
await observing
