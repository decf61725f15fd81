/**
 * A task that runs in exactly one of several processes, and moves to another one when its process stops, dies or is cut off:
 * `npx tsx examples/singleton.ts`.
 */
import { hostname } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { Etcd, type Leadership, put } from 'etcdkit'
import { EtcdCluster } from 'etcdkit/testing'

type Task = (leadership: Leadership, signal: AbortSignal) => Promise<void>

/** Runs the task whenever this process leads, until `stop` aborts. Resolves when the leadership has been handed over. */
export async function runAsLeader(etcd: Etcd, name: string, stop: AbortSignal, task: Task): Promise<void> {
  const election = etcd.election(name, { ttlSeconds: 5 })
  while (!stop.aborted) {
    try {
      await using leadership = await election.campaign(`${hostname()}/${process.pid}`, { signal: stop }) // waits for its turn
      await task(leadership, AbortSignal.any([stop, leadership.signal]))
    } catch (error) {
      if (stop.aborted) return
      console.error(`${name} is restarted after`, error)
      await sleep(1000, undefined, { signal: stop }).catch(() => undefined)
    }
  }
}

await using cluster = await EtcdCluster.start({ members: 3 })

/** A process of the service: in production, `stop` aborts at SIGTERM. */
async function startProcess(name: string, stop: AbortSignal): Promise<void> {
  await using etcd = new Etcd({ endpoints: cluster.endpoints })
  await runAsLeader(etcd, 'reports', stop, async (leadership, signal) => {
    console.log(`${name} leads`)
    while (!signal.aborted) {
      // The guard makes leadership a condition of the write, even if this process was suspended meanwhile.
      const { succeeded } = await etcd.txn().if(leadership.guard()).then(put('reports/last', name)).commit()
      if (!succeeded) throw new Error(`${name} does not lead any more`)
      await sleep(100, undefined, { signal }).catch(() => undefined)
    }
    console.log(`${name} hands over`)
  })
}

const stops = [new AbortController(), new AbortController()]
const first = startProcess('process-1', stops[0]?.signal ?? AbortSignal.abort())
await sleep(500)
const second = startProcess('process-2', stops[1]?.signal ?? AbortSignal.abort())
await sleep(300)
stops[0]?.abort()
await first
await sleep(300)
stops[1]?.abort()
await second
