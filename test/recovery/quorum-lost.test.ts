import assert from 'node:assert/strict'
import { beforeEach, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { Etcd } from '../../src/index.js'
import { useCluster } from '../support/cluster.js'
import { storedKeys } from '../support/cluster-view.js'
import { historyViolations, recordedPut, type WriteRecord } from '../support/history.js'
import { within } from '../support/slack.js'

describe('A cluster that loses its quorum', () => {
  const cluster = useCluster({ members: 3 })

  beforeEach(() => cluster.healthy())

  /** Takes two members away, writes and reads meanwhile, gives them back, and checks what the client said of its writes. */
  async function loseQuorum(prefix: string, take: (index: number) => Promise<void>, give: typeof take) {
    const leader = await cluster.leader()
    const lost = [leader, (leader + 1) % 3]
    await using etcd = new Etcd({ endpoints: cluster.endpoints })
    await etcd.put(`${prefix}first`, 'value')
    await Promise.all(lost.map(take))
    const writes: Promise<WriteRecord>[] = []
    const hasty = { put: (key: string, value: string) => etcd.put(key, value, { timeoutMs: 2000 }) }
    const clock = setInterval(() => writes.push(recordedPut(hasty, `${prefix}${writes.length}`)), 20)
    await sleep(1500)
    assert.equal((await etcd.get(`${prefix}first`, { mode: 'serializable' }))?.valueText, 'value')
    await sleep(1500)
    clearInterval(clock)
    const during = await Promise.all(writes)

    await Promise.all(lost.map(give))
    const backAt = performance.now()
    const last = await recordedPut(etcd, `${prefix}last`)
    const tookMs = performance.now() - backAt
    await cluster.healthy()
    const records = [...during, last]
    assert.deepEqual(historyViolations(records, await storedKeys(cluster, prefix)), [])
    return { during, last, tookMs }
  }

  function outcomes(records: readonly WriteRecord[]): string {
    const count = (outcome: string) => records.filter((record) => record.outcome === outcome).length
    return `${count('ok')} acknowledged, ${count('unknown')} of unknown effect, ${count('none')} without effect`
  }

  test('through frozen members reports write effects correctly, serves serializable reads and recovers', async (t) => {
    const freeze = (index: number) => cluster.pause(index)
    const { during, last, tookMs } = await loseQuorum('frozen/', freeze, (index) => cluster.resume(index))
    t.diagnostic(`${outcomes(during)}; recovered after ${tookMs.toFixed()} ms`)
    assert.ok(during.every(({ outcome }) => outcome !== 'ok'))
    assert.ok(during.some(({ outcome }) => outcome === 'unknown'))
    assert.equal(last.outcome, 'ok')
    assert.ok(tookMs < within(2000), `the first write took ${tookMs} ms`)
  })

  test('through killed members reports write effects correctly, serves serializable reads and recovers', async (t) => {
    const kill = (index: number) => cluster.kill(index)
    const { during, last, tookMs } = await loseQuorum('killed/', kill, (index) => cluster.restart(index))
    t.diagnostic(`${outcomes(during)}; recovered after ${tookMs.toFixed()} ms`)
    assert.ok(during.every(({ outcome }) => outcome !== 'ok'))
    assert.equal(last.outcome, 'ok')
    assert.ok(tookMs < within(2000), `the first write took ${tookMs} ms`)
  })
})
