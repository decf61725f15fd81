import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { Etcd } from '../../src/index.js'
import { type EtcdCluster, poll } from '../../src/testing/index.js'
import { startCluster } from '../support/cluster.js'
import { storedKeys } from '../support/cluster-view.js'
import { LockHistory, runLockWorker } from '../support/lock-storm.js'
import type { LockReport, LockTask } from '../support/lock-worker.js'

/** Longer with `ETCDKIT_LOCK_STORM_SECONDS=180`, in which a member dies every 20 s. */
const seconds = Number(process.env.ETCDKIT_LOCK_STORM_SECONDS ?? 12)
const killEveryMs = seconds > 60 ? 20_000 : 4000
const processes = 5
/** Ten for each lock; the full measure has 10,000. */
const acquisitions = Number(process.env.ETCDKIT_LOCK_STORM_ACQUISITIONS ?? 1000)

describe('Locks contended by five processes', () => {
  test('grant every acquisition, to one holder at a time, and leave no key', async (t) => {
    const cluster = await startCluster(t, { members: 3 })
    const task = { locks: acquisitions / 10, contenders: acquisitions / processes, turns: 1 }
    const { reports, violations, begun } = await storm(t, cluster, task)
    assert.deepEqual(violations, [])
    const sum = total(reports)
    assert.deepEqual([sum.errors, sum.timedOut, sum.lost, sum.deceived], [[], 0, 0, 0])
    assert.deepEqual([sum.acquired, sum.recorded, begun], [acquisitions, acquisitions, acquisitions])
    const txns = await cluster.metric('grpc_server_started_total', { grpc_method: 'Txn' })
    const writes = (txns - 2 * acquisitions) / acquisitions
    t.diagnostic(`${writes} writes for each acquisition, beside two of its holder`)
    assert.ok(writes <= 2.1)
    await assertNothingLeft(cluster)
  })

  test('keep granting while members die, to one holder at a time, and leave no key', {
    timeout: seconds * 1000 + 120_000,
  }, async (t) => {
    const cluster = await startCluster(t, { members: 3 })
    const until = Date.now() + 2000 + seconds * 1000
    const killing = killMembers(cluster, until)
    const task = { locks: 40, contenders: 40, until, ttlSeconds: 5, timeoutMs: 30_000 }
    const { reports, violations, begun } = await storm(t, cluster, task)
    t.diagnostic(`${await killing} members were killed`)
    assert.deepEqual(violations, [])
    const sum = total(reports)
    assert.deepEqual([sum.errors, sum.timedOut, sum.deceived], [[], 0, 0])
    assert.ok(begun >= sum.recorded && sum.recorded > seconds * 10)
    await assertNothingLeft(cluster)
  })
})

async function storm(t: TestContext, cluster: EtcdCluster, task: Partial<LockTask>) {
  await using etcd = new Etcd({ endpoints: cluster.endpoints })
  const history = new LockHistory(etcd)
  const reports = await Promise.all(
    Array.from({ length: processes }, (_, seed) =>
      runLockWorker({
        endpoints: cluster.endpoints,
        seed,
        locks: 1,
        contenders: 1,
        holdMs: 5,
        timeoutMs: 60_000,
        ttlSeconds: 10,
        records: true,
        ...task,
      }),
    ),
  )
  t.diagnostic(JSON.stringify(total(reports)))
  const { revision } = await etcd.put('history/the end', 'begin 1')
  const violations = await history.violations(revision)
  return { reports, violations, begun: history.begun - 1 }
}

/** One after the other, each back before the next one dies. */
async function killMembers(cluster: EtcdCluster, until: number): Promise<number> {
  let killed = 0
  for (; Date.now() + killEveryMs < until; killed += 1) {
    await sleep(killEveryMs / 2)
    const index = killed % 2 === 0 ? await cluster.leader() : killed % cluster.members.length
    await cluster.kill(index)
    await sleep(killEveryMs / 2)
    await cluster.restart(index)
  }
  return killed
}

function total(reports: readonly LockReport[]): LockReport {
  const sum = (name: 'acquired' | 'recorded' | 'lost' | 'deceived' | 'timedOut') =>
    reports.reduce((before, report) => before + report[name], 0)
  return {
    acquired: sum('acquired'),
    recorded: sum('recorded'),
    lost: sum('lost'),
    deceived: sum('deceived'),
    timedOut: sum('timedOut'),
    longestWaitMs: Math.max(...reports.map(({ longestWaitMs }) => longestWaitMs)),
    errors: reports.flatMap(({ errors }) => errors),
  }
}

async function assertNothingLeft(cluster: EtcdCluster): Promise<void> {
  assert.deepEqual(await storedKeys(cluster, 'storm/'), [])
  await poll(
    'no lease is left',
    async () => (await cluster.etcdctl('lease', 'list')).startsWith('found 0') || undefined,
  )
  await poll(
    'no watch is left',
    async () => (await cluster.metric('etcd_debugging_mvcc_watcher_total')) === 0 || undefined,
  )
}
