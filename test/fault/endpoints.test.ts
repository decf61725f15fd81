import assert from 'node:assert/strict'
import { afterEach, before, beforeEach, describe, type TestContext, test } from 'node:test'
import { type ClientEvents, type Etcd, InvalidArgumentError, isEtcdError } from '../../src/index.js'
import { type EtcdCluster, FaultProxy, poll, reservePort } from '../../src/testing/index.js'
import { runScript } from '../support/child.js'
import { startCluster, useCluster } from '../support/cluster.js'
import { memberAt, proxyAt, served, storedKeys } from '../support/cluster-view.js'
import { createClient } from '../support/fixtures.js'
import { Load } from '../support/load.js'
import { within } from '../support/slack.js'

const eventNames = [
  'endpointReady',
  'endpointEjected',
  'endpointLost',
  'endpointsChanged',
  'leaderChanged',
  'clusterChanged',
  'revisionRewound',
  'syncFailed',
] as const

/** Every event of a client, in order. */
function eventsOf(etcd: Etcd): (readonly [keyof ClientEvents, object])[] {
  const events: (readonly [keyof ClientEvents, object])[] = []
  for (const name of eventNames) etcd.on(name, (payload) => events.push([name, payload]))
  return events
}

async function allReady(etcd: Etcd): Promise<void> {
  await poll('all endpoints are ready', () => etcd.endpoints().every(({ state }) => state === 'ready') || undefined)
}

describe('`setEndpoints()`', () => {
  const cluster = useCluster({ members: 3, proxy: true })
  let urls: readonly [string, string, string]

  before(async () => {
    urls = [urlOf(0), urlOf(1), urlOf(2)]
  })
  beforeEach(() => cluster.healthy())
  afterEach(async () => {
    for (const index of [0, 1, 2]) {
      proxyAt(cluster, index).heal()
      if (memberAt(cluster, index).state === 'paused') await cluster.resume(index)
    }
  })

  function urlOf(index: number): string {
    return memberAt(cluster, index).endpoint
  }

  function clientOf(t: TestContext, ...endpoints: readonly string[]): Etcd {
    // One read is one call on one member.
    return createClient(t, { endpoints: [...endpoints] }, { batching: { reads: false } })
  }

  /** How many of `count` gets each member serves. */
  async function shares(etcd: Etcd, count: number): Promise<number[]> {
    const ranges = () => Promise.all(cluster.members.map((member) => served(member, 'Range')))
    const before = await ranges()
    for (let made = 0; made < count; made += 1) await etcd.get('key')
    return (await ranges()).map((total, index) => total - (before[index] ?? 0))
  }

  async function disconnected(index: number): Promise<void> {
    await poll('the old connection is closed', () => proxyAt(cluster, index).connections === 0 || undefined)
  }

  test('replaces endpoints under traffic: no call fails, calls in flight finish, shares stay even', async (t) => {
    const etcd = clientOf(t, urls[0], urls[1])
    await etcd.connect()
    await allReady(etcd)
    await using reads = new Load(() => etcd.get('key'))
    await using writes = new Load(() => etcd.put('key', 'value'), { workers: 2 })
    proxyAt(cluster, 0).delay(200, 'down')
    await poll('calls wait for the slow member', () => (etcd.endpoints()[0]?.inFlight ?? 0) > 2 || undefined)
    const underWay = Promise.all([etcd.range('key'), etcd.range('key')])
    etcd.setEndpoints([urls[1], urls[2]])
    const answeredBy = (await underWay).map(({ endpoint }) => endpoint)
    await disconnected(0)
    await poll('traffic goes on', () => (reads.successes > 300 && writes.successes > 50) || undefined)
    await Promise.all([reads.stop(), writes.stop()])
    assert.deepEqual([...reads.failures, ...writes.failures], [])
    assert.ok(answeredBy.includes(urls[0]), `answered by ${answeredBy}`)
    assert.deepEqual(await shares(etcd, 300), [0, 150, 150])
    assert.deepEqual(
      etcd.endpoints().map(({ endpoint }) => endpoint),
      [urls[1], urls[2]],
    )
  })

  test('replaces all endpoints by others and back, under traffic', async (t) => {
    const etcd = clientOf(t, urls[0])
    const events = eventsOf(etcd)
    await etcd.connect()
    await using reads = new Load(() => etcd.get('key'))
    await using writes = new Load(() => etcd.put('key', 'value'), { workers: 2 })
    for (const endpoints of [[urls[1], urls[2]], [urls[0]], [urls[2]]]) {
      etcd.setEndpoints(endpoints)
      const wanted = reads.successes + 100
      await poll('traffic goes on', () => reads.successes > wanted || undefined)
    }
    await Promise.all([reads.stop(), writes.stop()])
    assert.deepEqual([...reads.failures, ...writes.failures], [])
    assert.deepEqual(
      events.filter(([name]) => name === 'endpointsChanged').map(([, payload]) => payload),
      [{ endpoints: [urls[1], urls[2]] }, { endpoints: [urls[0]] }, { endpoints: [urls[2]] }],
    )
    await Promise.all([disconnected(0), disconnected(1)])
  })

  test('keeps keepalive on removed endpoints and closes them with the client', async (t) => {
    const etcd = clientOf(t, urls[0])
    await etcd.put('key', 'value')
    proxyAt(cluster, 0).blackhole()
    const [read, write] = [etcd.get('key'), etcd.put('never', 'acknowledged')]
    etcd.setEndpoints(urls[1])
    assert.equal((await read)?.valueText, 'value')
    const startedAt = performance.now()
    const rejected = assert.rejects(write, { code: 'CLOSED', effect: 'unknown' })
    await etcd.close()
    await rejected
    const tookMs = performance.now() - startedAt
    assert.ok(tookMs < within(100), `it took ${tookMs} ms`)
  })

  test('rejects invalid endpoints and changes nothing', async (t) => {
    const etcd = clientOf(t, urls[0])
    await etcd.connect()
    const before = etcd.endpoints().map(({ endpoint, state }) => [endpoint, state])
    const events = eventsOf(etcd)
    for (const endpoints of [[], '', ['http://a:x'], [urls[1], ''], [urls[1], 'https://127.0.0.1:1'], 'ftp://a:1']) {
      assert.throws(() => etcd.setEndpoints(endpoints), InvalidArgumentError, String(endpoints))
    }
    etcd.setEndpoints([urls[0], urls[0]])
    assert.deepEqual(
      etcd.endpoints().map(({ endpoint, state }) => [endpoint, state]),
      before,
    )
    assert.deepEqual(events, [])
    assert.equal(proxyAt(cluster, 0).connections, 1)
    await etcd.close()
    assert.throws(
      () => etcd.setEndpoints(urls[1]),
      (error) => isEtcdError(error, 'CLOSED'),
    )
  })

  test('works before the first call and while a call waits for a connection', async (t) => {
    const { port, release } = await reservePort()
    t.after(release)
    const nowhere = `http://127.0.0.1:${port}`
    const unused = clientOf(t, nowhere)
    unused.setEndpoints(urls[0])
    assert.deepEqual(
      unused.endpoints().map(({ endpoint, state }) => [endpoint, state]),
      [[urls[0], 'idle']],
    )
    await unused.get('key')
    const waiting = clientOf(t, nowhere)
    const call = waiting.range('key')
    await poll('it is refused', () => waiting.endpoints()[0]?.reason)
    waiting.setEndpoints(urls[1])
    assert.equal((await call).endpoint, urls[1])
  })

  test('balances by member, however many addresses a member has', async (t) => {
    await using second = await FaultProxy.start(memberAt(cluster, 0).clientUrl)
    const etcd = clientOf(t, urls[0], `http://${second.endpoint}`, urls[1], urls[2])
    await etcd.connect()
    await allReady(etcd)
    assert.deepEqual(await shares(etcd, 300), [100, 100, 100])
    await using reads = new Load(() => etcd.get('key'))
    proxyAt(cluster, 0).refuse()
    proxyAt(cluster, 0).cut()
    await poll('the loss is noticed', () => etcd.endpoints()[0]?.state === 'connecting' || undefined)
    await reads.stop()
    assert.deepEqual(reads.failures, [])
    assert.deepEqual(await shares(etcd, 300), [100, 100, 100])
  })

  test('shows state, latency, calls in flight, role, member and version of each endpoint', async (t) => {
    const etcd = clientOf(t, ...urls)
    const none = { reason: undefined, inFlight: 0, streams: 0, maxStreams: undefined }
    const nothing = { ...none, latencyMs: undefined, role: undefined, memberId: undefined }
    assert.deepEqual(
      etcd.endpoints(),
      urls.map((endpoint) => ({ endpoint, state: 'idle', ...nothing, version: undefined, clusterId: undefined })),
    )
    await etcd.connect()
    await allReady(etcd)
    const leader = await cluster.leader()
    const { clusterId } = await etcd.range('key')
    const shown = etcd.endpoints().map(({ latencyMs, ...rest }) => {
      assert.ok(latencyMs !== undefined && latencyMs > 0 && latencyMs < within(1000))
      return rest
    })
    assert.deepEqual(
      shown,
      cluster.members.map(({ memberId, version, endpoint }, index) => {
        const role = index === leader ? 'leader' : 'follower'
        return { endpoint, state: 'ready', ...none, role, memberId, version, clusterId }
      }),
    )
    for (const index of [0, 1, 2]) proxyAt(cluster, index).delay(50)
    const calls = Promise.all([1, 2, 3, 4, 5, 6].map(() => etcd.get('key')))
    assert.deepEqual(
      etcd.endpoints().map(({ inFlight }) => inFlight),
      [2, 2, 2],
    )
    await calls
    assert.ok(etcd.endpoints().every(({ inFlight }) => inFlight === 0))
  })

  describe('The client emits one event', () => {
    test('when an endpoint is ready, is lost and is ready again', async (t) => {
      const etcd = clientOf(t, ...urls)
      const events = eventsOf(etcd)
      await etcd.connect()
      await allReady(etcd)
      assert.deepEqual(
        events.splice(0).sort(byEndpoint),
        urls.map((endpoint) => ['endpointReady', { endpoint }] as const).sort(byEndpoint),
      )
      const proxy = proxyAt(cluster, 1)
      proxy.refuse()
      proxy.cut()
      await poll('it was tried again three times', () => proxy.refused > 2 || undefined)
      assert.deepEqual(events.splice(0), [['endpointLost', { endpoint: urls[1], reason: undefined }]])
      proxy.heal()
      await allReady(etcd)
      assert.deepEqual(events, [['endpointReady', { endpoint: urls[1] }]])
    })

    test('when an endpoint cannot be reached, with the reason', async (t) => {
      const { port, release } = await reservePort()
      t.after(release)
      const endpoint = `http://127.0.0.1:${port}`
      const etcd = createClient(t, { endpoints: [endpoint] }, { connectTimeoutMs: 800 })
      const events = eventsOf(etcd)
      await assert.rejects(etcd.connect(), { code: 'NOT_CONNECTED' })
      assert.deepEqual(events, [['endpointLost', { endpoint, reason: `connect ECONNREFUSED 127.0.0.1:${port}` }]])
    })

    test('when an endpoint is ejected and ready again', async (t) => {
      const etcd = clientOf(t, ...urls)
      await etcd.connect()
      await allReady(etcd)
      const events = eventsOf(etcd)
      const follower = ((await cluster.leader()) + 1) % 3
      const endpoint = urlOf(follower)
      await using reads = new Load(() => etcd.get('key'), { workers: 2 })
      await cluster.pause(follower)
      const states = new Set<string>()
      await poll('it was probed again', () => {
        const state = etcd.endpoints()[follower]?.state
        if (state === 'probing') states.add('probing')
        if (state === 'ejected' && states.has('probing')) return true
        return undefined
      })
      assert.deepEqual(events.splice(0), [['endpointEjected', { endpoint, reason: 'unresponsive' }]])
      await cluster.resume(follower)
      await allReady(etcd)
      await reads.stop()
      assert.deepEqual(events, [['endpointReady', { endpoint }]])
    })

    test('when another member becomes leader', async (t) => {
      const etcd = clientOf(t, ...urls)
      await etcd.connect()
      await allReady(etcd)
      const events = eventsOf(etcd)
      await using reads = new Load(() => etcd.get('key'), { workers: 2 })
      const leader = await cluster.leader()
      const next = memberAt(cluster, (leader + 1) % 3)
      const targetID = BigInt(`0x${next.memberId}`).toString()
      await memberAt(cluster, leader).call('/v3/maintenance/transfer-leadership', { targetID })
      await poll('the roles are known', () => etcd.endpoints()[(leader + 1) % 3]?.role === 'leader' || undefined)
      const wanted = reads.successes + 100
      await poll('traffic goes on', () => reads.successes > wanted || undefined)
      await reads.stop()
      const changes = events.filter(([name]) => name === 'leaderChanged')
      const raftTerm = await raftTermOf(next)
      assert.deepEqual(changes, [['leaderChanged', { memberId: next.memberId, raftTerm }]])
    })

    test('to every listener, even if one of them throws', async () => {
      const source = `
        import { Etcd } from './src/index.ts'
        process.on('uncaughtException', (error) => console.log('uncaught', error.message))
        const etcd = new Etcd({ endpoints: '${urls[0]}' })
        etcd.on('endpointReady', () => { throw new Error('bug of a listener') })
        const off = etcd.on('endpointReady', () => console.log('never'))
        etcd.on('endpointReady', ({ endpoint }) => console.log('ready', endpoint))
        off()
        await etcd.put('listener', 'value')
        console.log((await etcd.get('listener')).valueText)
        await etcd.close()
      `
      const stdout = `ready ${urls[0]}\nuncaught bug of a listener\nvalue\n`
      assert.deepEqual(await runScript(source), { code: 0, stdout, stderr: '' })
    })
  })

  async function raftTermOf(member: EtcdCluster['members'][number]): Promise<number> {
    return Number((await member.call('/v3/maintenance/status')).raftTerm)
  }
})

describe('`memberSync`', () => {
  const memberSync = { intervalMs: 50 }

  test('sends traffic to an added member and none to a removed one', async (t) => {
    const cluster = await startCluster(t, { members: 3 })
    const [first, second] = cluster.endpoints
    const etcd = createClient(t, { endpoints: [String(first), String(second)] }, { memberSync })
    const events = eventsOf(etcd)
    await using reads = new Load(() => etcd.get('key'))
    const urls = () => etcd.endpoints().map(({ endpoint }) => endpoint)
    const same = () => String(urls().sort()) === String([...cluster.endpoints].sort()) || undefined
    await poll('the third is known', same)
    const added = await cluster.addMember()
    await poll('the new one is known', same)
    await poll('it serves reads', async () => (await served(memberAt(cluster, added), 'Range')) > 50 || undefined)
    // The third, which is no seed and not the leader.
    const removed = (await cluster.leader()) === 2 ? added : 2
    await cluster.removeMember(removed)
    await poll('the removed one is left', same)
    const wanted = reads.successes + 100
    await poll('traffic goes on', () => reads.successes > wanted || undefined)
    await reads.stop()
    assert.deepEqual(reads.failures, [])
    assert.equal(events.filter(([name]) => name === 'endpointsChanged').length, 3)
    assert.deepEqual(
      events.filter(([name]) => name === 'syncFailed'),
      [],
    )
  })

  test('keeps the configured endpoints and never uses addresses of another cluster', async (t) => {
    const other = await startCluster(t, { members: 2 })
    const advertised = [...other.endpoints, 'http://127.0.0.1:1', 'https://127.0.0.1:2']
    const flags = { 'advertise-client-urls': advertised.join() }
    const cluster = await startCluster(t, { flags })
    const seed = memberAt(cluster, 0).endpoint
    const etcd = createClient(t, cluster, { memberSync })
    const changes: object[] = []
    etcd.on('clusterChanged', (change) => changes.push(change))
    await etcd.put('mine/first', 'value')
    const reasons = () => etcd.endpoints().map(({ endpoint, reason }) => [endpoint, reason])
    const known = () => reasons().filter(([, reason]) => reason === 'other cluster')[1]
    await poll('the others are known for what they are', known)
    for (let count = 0; count < 30; count += 1) await etcd.put(`mine/${count}`, 'value')
    await poll('the list was asked for again', async () => {
      return (await served(memberAt(cluster, 0), 'MemberList')) > 5 || undefined
    })
    const { 'http://127.0.0.1:1': unreachable, ...others } = Object.fromEntries(reasons())
    assert.equal(unreachable, 'connect ECONNREFUSED 127.0.0.1:1')
    assert.deepEqual(others, {
      [seed]: undefined,
      ...Object.fromEntries(other.endpoints.map((endpoint) => [endpoint, 'other cluster'])),
    })
    assert.deepEqual(await storedKeys(other, 'mine/'), [])
    assert.equal((await storedKeys(cluster, 'mine/')).length, 31)
    assert.equal(changes.length, 2)

    // What setEndpoints() gives takes the place of what the client was made with.
    await using second = await FaultProxy.start(seed)
    etcd.setEndpoints(second.endpoint)
    await poll('it has asked again', () => etcd.endpoints().length > 1 || undefined)
    assert.deepEqual(
      reasons().flatMap(([endpoint]) =>
        endpoint === seed || endpoint === `http://${second.endpoint}` ? endpoint : [],
      ),
      [`http://${second.endpoint}`],
    )
  })

  test('reports a failure and continues with the current endpoints', async (t) => {
    const cluster = await startCluster(t, { proxy: true })
    const etcd = createClient(t, cluster, { memberSync, connectTimeoutMs: 100 })
    const errors: unknown[] = []
    etcd.on('syncFailed', ({ error }) => errors.push(error))
    await etcd.put('key', 'value')
    proxyAt(cluster, 0).refuse()
    proxyAt(cluster, 0).cut()
    await poll('it fails', () => errors[2])
    assert.ok(errors.every((error) => isEtcdError(error)))
    proxyAt(cluster, 0).heal()
    await allReady(etcd)
    assert.equal((await etcd.get('key'))?.valueText, 'value')
    await etcd.close()
  })
})

function byEndpoint(a: readonly [string, object], b: readonly [string, object]): number {
  return JSON.stringify(a).localeCompare(JSON.stringify(b))
}
