/**
 * A tour of what etcdkit does, on a cluster of three real members that it starts and ends itself: `npm start`.
 * Every line shows what was measured in this run; the exit code is 0 if everything held.
 */
import { Etcd } from 'etcdkit'
import { EtcdCluster } from 'etcdkit/testing'
import { killLeader } from './tour/leader-killed.js'
import { listWhileChanging } from './tour/listing.js'
import { comeBack } from './tour/member-back.js'
import { readBothWays } from './tour/read-modes.js'
import { ms, Screen } from './tour/screen.js'
import { section } from './tour/section.js'
import { spreadEvenly } from './tour/spread.js'
import type { Stage } from './tour/stage.js'

const screen = new Screen()

/** The process must end within this time after everything was closed. */
const exitPatienceMs = 3000

async function tour(): Promise<void> {
  const startedAt = performance.now()
  screen.progress('starting three members; the first run fetches etcd as well')
  await using cluster = await EtcdCluster.start({ members: 3, timers: 'default' })
  await using etcd = new Etcd({ endpoints: cluster.endpoints })
  const stage: Stage = { cluster, etcd, screen }
  screen.title(`etcdkit on ${cluster.members.length} members of etcd ${cluster.version}`)
  screen.row('started in', ms(performance.now() - startedAt))
  await section(screen, 'Calls are spread over the members, by the servers’ own count', () => spreadEvenly(stage))
  await section(screen, 'One key, read in both modes', () => readBothWays(stage))
  await section(screen, 'A listing is of one moment, however much changes', () => listWhileChanging(stage))
  const leader = await cluster.leader()
  await section(screen, 'The leader is killed under traffic', () => killLeader(stage, leader))
  await section(screen, 'The member comes back', () => comeBack(stage, leader))
}

/** Node says `beforeExit` when nothing is left to do. What is still open by then would be seen here. */
function expectExit(tourStartedAt: number): void {
  const closedAt = performance.now()
  screen.title('Closed')
  const patience = setTimeout(() => {
    screen.verdict({ holds: false, text: `still running, held by ${process.getActiveResourcesInfo().join(', ')}` })
    process.exit(1)
  }, exitPatienceMs)
  patience.unref()
  process.once('beforeExit', () => {
    const now = performance.now()
    const text = `the process ends by itself, ${ms(now - closedAt)} after close(); all took ${((now - tourStartedAt) / 1000).toFixed(1)} s`
    screen.verdict({ holds: true, text })
  })
}

// Leaving through exit() lets the harness end its members first.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => process.exit(130))

const startedAt = performance.now()
try {
  await tour()
} catch (error) {
  screen.verdict({ holds: false, text: error instanceof Error ? (error.stack ?? error.message) : String(error) })
  process.exitCode = 1
}
expectExit(startedAt)
