import assert from 'node:assert/strict'
import { beforeEach, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { Etcd } from '../../src/index.js'
import { poll } from '../../src/testing/index.js'
import { useCluster } from '../support/cluster.js'
import { memberAt, served } from '../support/cluster-view.js'
import { Load } from '../support/load.js'
import { within } from '../support/slack.js'

describe('A follower that freezes under load', () => {
  const cluster = useCluster({ members: 3 })
  let follower: number

  beforeEach(async () => {
    await cluster.healthy()
    follower = ((await cluster.leader()) + 1) % 3
  })

  test('is detected by sequential writes with short deadlines', async (t) => {
    await using etcd = new Etcd({ endpoints: cluster.endpoints })
    await etcd.connect()
    await cluster.pause(follower)
    const pausedAt = performance.now()
    let lastFailureMs = 0
    for (let ms = 0; ms < 3000; ms = performance.now() - pausedAt) {
      const write = etcd.put('key', 'value', { timeoutMs: 200 })
      await Promise.all([write, sleep(20)]).catch(() => {
        lastFailureMs = performance.now() - pausedAt
      })
    }
    await cluster.resume(follower)
    t.diagnostic(`the last failure was after ${lastFailureMs.toFixed()} ms`)
    assert.ok(lastFailureMs < within(2000), `writes failed for ${lastFailureMs} ms`)
  })

  test('fails no read, leaves no gap beyond its detection, and receives traffic again after it thaws', async (t) => {
    await using etcd = new Etcd({ endpoints: cluster.endpoints })
    await etcd.connect()
    await using load = new Load(() => etcd.get('key'))
    await sleep(300)
    await cluster.pause(follower)
    load.markGap()
    const before = load.successes
    await sleep(4000)
    const [gapMs, successes] = [load.longestGapMs, load.successes - before]
    // Ejected, or just being probed again.
    assert.notEqual(stateOf(etcd), 'ready')

    const resumedAt = performance.now()
    await cluster.resume(follower)
    const servedBefore = await served(memberAt(cluster, follower), 'Range')
    // Reads that were given up while the member was frozen are counted when it thaws; the load adds to them for long.
    await poll('the member serves reads again', async () => {
      const more = (await served(memberAt(cluster, follower), 'Range')) - servedBefore
      return (stateOf(etcd) === 'ready' && more > 100) || undefined
    })
    const backMs = performance.now() - resumedAt
    await load.stop()
    t.diagnostic(`gap ${gapMs.toFixed()} ms, ${successes} reads in 4 s, back after ${backMs.toFixed()} ms`)
    assert.deepEqual(load.failures, [])
    assert.ok(gapMs < within(2000), `no read succeeded for ${gapMs} ms`)
    assert.ok(successes > 200, `only ${successes} reads succeeded in 4 s`)
    assert.ok(backMs < within(5000), `the member was back after ${backMs} ms`)
  })

  test('does not fail most calls with a deadline of one second, and soon none', async (t) => {
    await using etcd = new Etcd({ endpoints: cluster.endpoints, timeoutMs: 1000 })
    await etcd.connect()
    await cluster.pause(follower)
    const pausedAt = performance.now()
    await using load = new Load(() => etcd.get('key'))
    await sleep(5000)
    await load.stop()
    await cluster.resume(follower)
    const late = load.failures.filter(({ at }) => at > pausedAt + 3000)
    t.diagnostic(`${load.successes} calls succeeded and ${load.failures.length} failed`)
    assert.ok(load.successes >= 2 * load.failures.length, `${load.failures.length} of the calls failed`)
    assert.ok(load.successes > 200)
    assert.deepEqual(late, [])
  })

  function stateOf(etcd: Etcd): string | undefined {
    const { endpoint } = memberAt(cluster, follower)
    return etcd.endpoints().find((status) => status.endpoint === endpoint)?.state
  }
})
