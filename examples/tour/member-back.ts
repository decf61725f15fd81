import { setTimeout as sleep } from 'node:timers/promises'
import { ms, type Verdict, whole } from './screen.js'
import { countGreetings, rangesServed, repeat, type Stage } from './stage.js'

const calls = 900
const patienceMs = 10_000

/** Restarts the killed member: the client must detect it and send it its share of the calls. */
export async function comeBack(stage: Stage, index: number): Promise<Verdict> {
  const { cluster, screen } = stage
  const { name = '', endpoint = '' } = cluster.members[index] ?? {}
  screen.progress(`restarting ${name}`)
  await cluster.restart(index)
  const servingAt = performance.now()
  await inRotation(stage, endpoint)
  const foundMs = performance.now() - servingAt
  const before = await rangesServed(stage)
  await repeat(calls, 16, () => countGreetings(stage))
  const served = (await rangesServed(stage)).map((count, member) => count - (before[member] ?? 0))
  screen.row('in rotation', `${name}, ${ms(foundMs)} after it started serving`)
  return shareVerdict(name, served[index] ?? 0, served.length)
}

/** The member serves its share of the calls again. */
export function shareVerdict(name: string, share: number, members: number): Verdict {
  return {
    holds: Math.abs(share - calls / members) <= 2,
    text: `${name} served ${whole(share)} of the next ${whole(calls)} reads`,
  }
}

async function inRotation({ etcd }: Stage, endpoint: string): Promise<void> {
  const startedAt = performance.now()
  const isReady = () => etcd.endpoints().some((status) => status.endpoint === endpoint && status.state === 'ready')
  while (!isReady()) {
    if (performance.now() - startedAt > patienceMs) throw new Error(`${endpoint} did not come back in ${patienceMs} ms`)
    await sleep(5)
  }
}
