import assert from 'node:assert/strict'
import { beforeEach, describe, type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { Etcd, isEtcdError } from '../../src/index.js'
import { useCluster } from '../support/cluster.js'
import { Load } from '../support/load.js'
import { within } from '../support/slack.js'

describe('A leader killed under load', () => {
  const cluster = useCluster({ members: 3, timers: 'default' })

  beforeEach(() => cluster.healthy())

  /** Kills the leader under two loads, ours and etcdctl's beside it, and returns ours when it has gone on for 4 s. */
  async function killLeader(t: TestContext, call: () => Promise<unknown>, etcdctl: readonly string[]): Promise<Load> {
    const leader = await cluster.leader()
    const endpoints = `--endpoints=${cluster.endpoints.join(',')}`
    await using control = new Load(() => cluster.etcdctl(...etcdctl, endpoints, '--command-timeout=5s'), { workers: 1 })
    await using ours = new Load(call)
    await sleep(700)
    await cluster.kill(leader)
    ours.markGap()
    control.markGap()
    const before = control.successes
    await sleep(4000)
    while (control.successes === before) await sleep(50)
    const [gapMs, controlGapMs] = [ours.longestGapMs, control.longestGapMs]
    await ours.stop()
    await control.stop()
    await cluster.restart(leader)
    t.diagnostic(`gap ${gapMs.toFixed()} ms, etcdctl's ${controlGapMs.toFixed()} ms, ${ours.failures.length} failures`)
    assert.ok(gapMs <= controlGapMs + within(1000), `no success for ${gapMs} ms, of etcdctl for ${controlGapMs} ms`)
    return ours
  }

  test("fails no read, and calls resume as soon as etcdctl's do", async (t) => {
    await using etcd = new Etcd({ endpoints: cluster.endpoints })
    await etcd.connect()
    const { failures, successes } = await killLeader(t, () => etcd.get('key'), ['get', 'control'])
    assert.deepEqual(failures, [])
    assert.ok(successes > 100)
  })

  test('fails only the writes in flight, and none after the election', async (t) => {
    await using etcd = new Etcd({ endpoints: cluster.endpoints })
    await etcd.connect()
    let count = 0
    const load = await killLeader(t, () => etcd.put(`key/${count++}`, ''), ['put', 'control', ''])
    const { failures, successes, longestGapEndedAt } = load
    assert.ok(failures.length <= 24, `${failures.length} writes failed`)
    for (const { at, error } of failures) {
      assert.ok(isEtcdError(error))
      // One without effect could have been repeated.
      assert.equal(error.effect, 'unknown', error.message)
      const lateMs = at - longestGapEndedAt
      assert.ok(lateMs < within(1000), `${error.message} came ${lateMs} ms after writes succeeded again`)
    }
    assert.ok(successes > 100)
  })
})
