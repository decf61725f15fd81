import assert from 'node:assert/strict'
import { after, before, describe, type TestContext, test } from 'node:test'
import { type ConnectionEvents, Etcd, isEtcdError } from '../../src/index.js'
import { EtcdCluster, FaultProxy, poll } from '../../src/testing/index.js'
import { addUser, authenticateCalls, rootPassword } from '../support/auth.js'
import { memberAt, storedKeys } from '../support/cluster-view.js'
import { within } from '../support/slack.js'

const root = { username: 'root', password: rootPassword }
const app = { username: 'app', password: 'app-secret' }

describe('A cluster with authentication that replaces another', () => {
  let old: EtcdCluster
  let other: EtcdCluster

  before(async () => {
    const start = () => EtcdCluster.start({ members: 3, auth: { rootPassword } })
    ;[old, other] = await Promise.all([start(), start()])
    for (const cluster of [old, other]) {
      await using etcd = new Etcd({ endpoints: cluster.endpoints, auth: root })
      await addUser(etcd, app.username, app.password)
      // Simple tokens of the old cluster name a raft index that the other one will not have for long.
      if (cluster === old) for (let count = 0; count < 500; count += 1) await etcd.put('index', String(count))
    }
  })
  after(async () => {
    await old.stop()
    await other.stop()
  })

  /** Addresses of the old cluster, and a way to put the other one there. */
  async function addresses(t: TestContext) {
    const proxies = await Promise.all(old.members.map(({ clientUrl }) => FaultProxy.start(clientUrl)))
    t.after(() => Promise.all(proxies.map((proxy) => proxy.close())))
    const take = (index: number) => proxies[index]?.close()
    const replace = async (index: number): Promise<void> => {
      const { port } = proxies[index] ?? assert.fail()
      await take(index)
      proxies[index] = await FaultProxy.start(memberAt(other, index).clientUrl, { port })
    }
    return { endpoints: proxies.map(({ endpoint }) => endpoint), take, replace }
  }

  /** Writes until it succeeds. Returns the time that it took and the errors that came first. */
  async function untilWritten(etcd: Etcd, key: string): Promise<{ readonly tookMs: number; readonly codes: string[] }> {
    const startedAt = performance.now()
    const codes = new Set<string>()
    await poll(
      'a write succeeds',
      async () => {
        try {
          return await etcd.put(key, 'value', { timeoutMs: 4000 })
        } catch (error) {
          assert.ok(isEtcdError(error))
          codes.add(error.code)
          return undefined
        }
      },
      { timeoutMs: 30_000 },
    )
    return { tookMs: performance.now() - startedAt, codes: [...codes] }
  }

  for (const auth of [root, app]) {
    test(`at all addresses is used as the user ${auth.username}, by old and new clients`, async (t) => {
      const { endpoints, replace } = await addresses(t)
      await using etcd = new Etcd({ endpoints, auth })
      await etcd.put('before', 'value')
      const loginsBefore = await authenticateCalls(other)
      await Promise.all([0, 1, 2].map(replace))
      const { tookMs, codes } = await untilWritten(etcd, `${auth.username}/old-client`)
      t.diagnostic(`${tookMs.toFixed()} ms, ${codes.join(' ')}`)
      assert.ok(tookMs < within(5000), `it took ${tookMs} ms`)
      await using later = new Etcd({ endpoints, auth })
      const made = await untilWritten(later, `${auth.username}/new-client`)
      assert.ok(made.tookMs < within(3000), `a new client took ${made.tookMs} ms: ${made.codes}`)
      assert.equal((await storedKeys(other, `${auth.username}/`)).length, 2)
      await poll('all are ready', () => etcd.endpoints().every(({ state }) => state === 'ready') || undefined)
      const logins = (await authenticateCalls(other)) - loginsBefore
      assert.ok(logins <= 4, `${logins} logins`)
    })
  }

  test('is not delayed by a token that another client of the process got from the old cluster', async (t) => {
    const { endpoints, replace } = await addresses(t)
    await using first = new Etcd({ endpoints, auth: root })
    await first.put('before', 'value')
    await first.close()
    await Promise.all([0, 1, 2].map(replace))
    await using etcd = new Etcd({ endpoints, auth: root })
    const { tookMs, codes } = await untilWritten(etcd, 'shared-token')
    assert.ok(tookMs < within(3000), `it took ${tookMs} ms: ${codes}`)
    const value = await etcd.get('shared-token')
    assert.equal(value?.valueText, 'value')
  })

  test("is used by a watch that is the client's only call", async (t) => {
    const { endpoints, replace } = await addresses(t)
    await using etcd = new Etcd({ endpoints, auth: app })
    const watcher = etcd.watch('watched')
    await watcher.ready()
    const followed = new Promise((resolve) => etcd.on('clusterFollowed', resolve))
    await Promise.all([0, 1, 2].map(replace))
    await poll('the client knows', () => Promise.race([followed, undefined]))
    await watcher.close()
  })

  test('at the only reachable address is used after 5 s, with an event and in the stats', async (t) => {
    const { endpoints, take, replace } = await addresses(t)
    await using etcd = new Etcd({ endpoints, auth: root, timeoutMs: 15_000, connectTimeoutMs: 10_000 })
    await etcd.put('before', 'value')
    const events: ConnectionEvents['clusterFollowed'][] = []
    etcd.on('clusterFollowed', (event) => events.push(event))
    const before = etcd.stats().cluster
    await Promise.all([take(1), take(2), replace(0)])
    const { tookMs } = await untilWritten(etcd, 'alone')
    assert.ok(tookMs > 4000 && tookMs < within(12_000), `it took ${tookMs} ms`)
    const urls = endpoints.map((endpoint) => `http://${endpoint}`)
    const { id, followed } = etcd.stats().cluster
    assert.deepEqual(events, [
      { expected: before.id, actual: id, agreed: urls.slice(0, 1), unreachable: urls.slice(1) },
    ])
    assert.deepEqual([followed, before.followed], [events[0], undefined])
    assert.equal((await storedKeys(other, 'alone')).length, 1)
  })
})
