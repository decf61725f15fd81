/**
 * A tour of etcdkit on a cluster of three real members that it starts and stops: `npm start`. Every line shows a
 * measurement of this run; the exit code is 0 if all checks passed.
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

/** The process must exit within this time after everything is closed. */
const exitPatienceMs = 3000

async function tour(): Promise<void> {
  const startedAt = performance.now()
  screen.progress('starting three members; the first run downloads etcd')
  await using cluster = await EtcdCluster.start({ members: 3, timers: 'default' })
  await using etcd = new Etcd({ endpoints: cluster.endpoints })
  const stage: Stage = { cluster, etcd, screen }
  screen.title(`etcdkit on ${cluster.members.length} members of etcd ${cluster.version}`)
  screen.row('started in', ms(performance.now() - startedAt))
  await section(screen, 'Calls are balanced over the members, by the servers’ own metrics', () => spreadEvenly(stage))
  await section(screen, 'Linearizable and serializable reads of one key', () => readBothWays(stage))
  await section(screen, 'A listing under concurrent writes shows one revision', () => listWhileChanging(stage))
  const leader = await cluster.leader()
  await section(screen, 'The leader is killed under load', () => killLeader(stage, leader))
  await section(screen, 'The member restarts', () => comeBack(stage, leader))
}

/** Node emits `beforeExit` when the event loop is empty: anything left open is detected here. */
function expectExit(tourStartedAt: number): void {
  const closedAt = performance.now()
  screen.title('Closed')
  const patience = setTimeout(() => {
    screen.verdict({ holds: false, text: `still running because of ${process.getActiveResourcesInfo().join(', ')}` })
    process.exit(1)
  }, exitPatienceMs)
  patience.unref()
  process.once('beforeExit', () => {
    const now = performance.now()
    const text = `the process exits ${ms(now - closedAt)} after close(); total time ${((now - tourStartedAt) / 1000).toFixed(1)} s`
    screen.verdict({ holds: true, text })
  })
}

// exit() lets the harness stop its members first.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => process.exit(130))

const startedAt = performance.now()
try {
  await tour()
} catch (error) {
  screen.verdict({ holds: false, text: error instanceof Error ? (error.stack ?? error.message) : String(error) })
  process.exitCode = 1
}
expectExit(startedAt)
