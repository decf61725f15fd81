import assert from 'node:assert/strict'
import { beforeEach, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { Etcd, EtcdError, isEtcdError } from '../../src/index.js'
import { useCluster } from '../support/cluster.js'
import { proxyAt, storedKeys } from '../support/cluster-view.js'
import { historyViolations, recordedPut, type WriteRecord, type Writer } from '../support/history.js'

/** 200 writes a second. */
const everyMs = 5

describe('Writes under faults', () => {
  const cluster = useCluster({ members: 3, proxy: true })
  let run = 0

  beforeEach(() => cluster.healthy())

  /** Writes at a steady rate, each key once, while `faults` run; resolves when all writes and the cluster have settled. */
  async function writeDuring(faults: () => Promise<void>, writer: Writer) {
    run += 1
    const prefix = `run-${run}/`
    const writes: Promise<WriteRecord>[] = []
    const clock = setInterval(() => writes.push(recordedPut(writer, `${prefix}${writes.length}`)), everyMs)
    await faults()
    clearInterval(clock)
    const records = await Promise.all(writes)
    await cluster.healthy()
    const last = await recordedPut(writer, `${prefix}last`)
    assert.equal(last.outcome, 'ok', 'the last write failed')
    records.push(last)
    return { records, violations: historyViolations(records, await storedKeys(cluster, prefix)) }
  }

  /** Lets requests through and loses the answers, on one member after another. */
  async function loseAnswers(): Promise<void> {
    for (const { proxy } of [...cluster.members, ...cluster.members]) {
      proxy?.onData((_, { direction }) => (direction === 'down' ? 'drop' : undefined))
      await sleep(60)
      proxy?.cut()
      proxy?.heal()
      await sleep(200)
    }
  }

  async function freezeLeader(): Promise<void> {
    const leader = await cluster.leader()
    await cluster.pause(leader)
    await sleep(1500)
    await cluster.resume(leader)
    await sleep(300)
  }

  async function killLeader(): Promise<void> {
    const leader = await cluster.leader()
    await cluster.kill(leader)
    await sleep(1500)
    await cluster.restart(leader)
  }

  async function allFaults(): Promise<void> {
    await sleep(200)
    await loseAnswers()
    await killLeader()
    await freezeLeader()
  }

  function count(records: readonly WriteRecord[], outcome: WriteRecord['outcome']): number {
    return records.filter((record) => record.outcome === outcome).length
  }

  test('are applied exactly once when acknowledged, never when without effect, and otherwise at most once', async (t) => {
    await using etcd = new Etcd({ endpoints: cluster.endpoints, timeoutMs: 5000 })
    await etcd.connect()
    const { records, violations } = await writeDuring(allFaults, etcd)
    const [ok, unknown, none] = [count(records, 'ok'), count(records, 'unknown'), count(records, 'none')]
    t.diagnostic(`${ok} acknowledged, ${unknown} of unknown effect, ${none} without effect`)
    assert.deepEqual(violations, [])
    assert.ok(ok > records.length / 2, `only ${ok} of ${records.length} writes succeeded`)
    assert.ok(unknown >= 6, `only ${unknown} answers were lost: the faults did not bite`)
    assert.ok(records.length > 100, `only ${records.length} writes were made`)
  })

  test('expose a client that retries failed writes blindly', async (t) => {
    await using etcd = new Etcd({ endpoints: cluster.endpoints })
    await etcd.connect()
    const blind: Writer = { put: (key, value) => etcd.put(key, value).catch(() => etcd.put(key, value)) }
    const { violations } = await writeDuring(loseAnswers, blind)
    t.diagnostic(`${violations.length} violations`)
    assert.match(violations.join('\n'), /was applied 2 times/)
  })

  test('expose a client that reports unknown effects as none', async (t) => {
    await using etcd = new Etcd({ endpoints: cluster.endpoints })
    await etcd.connect()
    const liar: Writer = {
      put: (key, value) =>
        etcd.put(key, value).catch((error: unknown) => {
          if (!isEtcdError(error)) throw error
          throw new EtcdError(error.rawMessage, { code: error.code, effect: 'none' })
        }),
    }
    const { violations } = await writeDuring(loseAnswers, liar)
    t.diagnostic(`${violations.length} violations`)
    assert.match(violations.join('\n'), /failed without effect .* and was applied/)
  })

  test('expose a client that acknowledges lost writes', async () => {
    await using etcd = new Etcd({ endpoints: cluster.endpoints, timeoutMs: 500 })
    await etcd.connect()
    const proxies = cluster.members.map((_, index) => proxyAt(cluster, index))
    const dreamer: Writer = { put: (key, value) => etcd.put(key, value).catch(() => ({ revision: 1 })) }
    const loseRequests = async (): Promise<void> => {
      for (const proxy of proxies) proxy.onData((_, { direction }) => (direction === 'up' ? 'drop' : undefined))
      await sleep(100)
      for (const proxy of proxies) {
        proxy.cut()
        proxy.heal()
      }
      await sleep(300)
    }
    const { violations } = await writeDuring(loseRequests, dreamer)
    assert.match(violations.join('\n'), /was acknowledged and is missing/)
  })
})
