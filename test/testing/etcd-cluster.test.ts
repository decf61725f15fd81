import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { EtcdCluster, type EtcdMember } from '../../src/testing/index.js'
import { baseFlags } from '../../src/testing/member-flags.js'
import { within } from '../support/slack.js'

const base64 = (text: string) => Buffer.from(text).toString('base64')

async function put(member: EtcdMember, key: string, value: string): Promise<void> {
  await member.call('/v3/kv/put', { key: base64(key), value: base64(value) })
}

async function read(member: EtcdMember, key: string): Promise<string | undefined> {
  const { kvs } = await member.call('/v3/kv/range', { key: base64(key) })
  const [kv] = (kvs ?? []) as { value: string }[]
  return kv && Buffer.from(kv.value, 'base64').toString()
}

/** Folders of this process's clusters. */
function ownFolders(): string[] {
  const folders = readdirSync(tmpdir()).filter((name) => name.startsWith('etcdkit-cluster-'))
  return folders.filter((name) => readOwner(name).includes(`"pid":${process.pid},`))
}

function readOwner(folder: string): string {
  try {
    return readFileSync(join(tmpdir(), folder, 'owner'), 'utf8')
  } catch {
    return ''
  }
}

describe('EtcdCluster with three members', () => {
  let cluster: EtcdCluster

  before(async () => {
    cluster = await EtcdCluster.start({ members: 3, proxy: true })
  })
  after(() => cluster.stop())

  /** A member by its index. */
  function member(index: number): EtcdMember {
    const found = cluster.members[index]
    assert.ok(found)
    return found
  }

  async function leaderAndFollower(): Promise<[number, number]> {
    const leader = await cluster.leader()
    return [leader, (leader + 1) % 3]
  }

  test('describes its members', () => {
    assert.deepEqual(
      cluster.members.map(({ name, state, isLearner, version }) => ({ name, state, isLearner, version })),
      ['m0', 'm1', 'm2'].map((name) => ({ name, state: 'running', isLearner: false, version: cluster.version })),
    )
    assert.deepEqual(
      cluster.endpoints,
      cluster.members.map(({ proxy }) => `http://127.0.0.1:${proxy?.port}`),
    )
    assert.equal(new Set(cluster.members.map(({ memberId }) => memberId)).size, 3)
    assert.equal(new Set(cluster.members.map(({ pid }) => pid)).size, 3)
  })

  test('is one cluster', async () => {
    await put(member(0), 'key', 'value')
    assert.equal(await read(member(1), 'key'), 'value')
    assert.equal(await read(member(2), 'key'), 'value')
  })

  test('elects another leader while one is paused, which keeps its connections and follows later', async () => {
    const [leader, follower] = await leaderAndFollower()
    const paused = member(leader)
    await cluster.pause(leader)
    assert.equal(paused.state, 'paused')
    await assert.rejects(paused.call('/v3/maintenance/status', {}, 100), /abort/)
    await assert.rejects(cluster.pause(leader), /m\d is paused/)
    assert.notEqual(await cluster.leader(), leader)
    await put(member(follower), 'paused', 'yes')
    await cluster.resume(leader)
    await cluster.healthy()
    assert.equal(await read(paused, 'paused'), 'yes')
    await assert.rejects(cluster.resume(leader), /is running, not paused/)
  })

  test('keeps data, address and ID of a member over a kill and a restart', async () => {
    const [leader, follower] = await leaderAndFollower()
    const killed = member(leader)
    const { pid, clientUrl, memberId, endpoint } = killed
    await cluster.kill(leader)
    assert.deepEqual([killed.state, killed.pid], ['stopped', undefined])
    assert.notEqual(await cluster.leader(), leader)
    await put(member(follower), 'killed', 'yes')
    await cluster.restart(leader)
    assert.notEqual(killed.pid, pid)
    assert.deepEqual([killed.clientUrl, killed.memberId, killed.endpoint], [clientUrl, memberId, endpoint])
    assert.equal(await read(killed, 'killed'), 'yes')
  })

  test('lets a member shut down gracefully, also a paused one', async () => {
    const [, follower] = await leaderAndFollower()
    await cluster.pause(follower)
    await cluster.terminate(follower)
    assert.equal(member(follower).state, 'stopped')
    await cluster.restart(follower)
    await cluster.healthy()
  })

  test('restarts a member without a majority, and all of them one after the other', async () => {
    await Promise.all([0, 1, 2].map((index) => cluster.kill(index)))
    await cluster.restart(2)
    assert.equal(member(2).state, 'running')
    await cluster.restart(0)
    await cluster.restart(1)
    await cluster.healthy()
    assert.equal(await read(member(2), 'key'), 'value')
  })

  test('reports metrics of one member and of all running ones', async () => {
    assert.equal(await cluster.metric('etcd_server_has_leader'), 3)
    assert.equal(await cluster.metric('etcd_server_is_leader'), 1)
    assert.equal(await member(await cluster.leader()).metric('etcd_server_is_leader'), 1)
    const [, follower] = await leaderAndFollower()
    await cluster.kill(follower)
    assert.equal(await cluster.metric('etcd_server_has_leader'), 2)
    await cluster.restart(follower)
  })

  test('runs etcdctl against its members', async () => {
    assert.equal(await cluster.etcdctl('put', 'from', 'etcdctl'), 'OK\n')
    assert.equal(await read(member(0), 'from'), 'etcdctl')
    assert.equal(await cluster.etcdctl('get', 'from', '--endpoints', member(1).clientUrl), 'from\netcdctl\n')
    await assert.rejects(cluster.etcdctl('no-such-command'), /etcdctl no-such-command failed: .*unknown command/s)
  })

  test('serves clients through the proxies and makes its own calls past them', async () => {
    const response = await fetch(`${cluster.endpoints[0]}/version`)
    assert.equal(((await response.json()) as { etcdserver: string }).etcdserver, cluster.version)
    assert.equal(member(0).proxy?.accepted, 1)
    member(0).proxy?.blackhole()
    await cluster.healthy()
    member(0).proxy?.heal()
  })

  test('rejects a member index out of range', async () => {
    await assert.rejects(cluster.pause(7), /there is no member 7/)
  })
})

describe('EtcdCluster membership', () => {
  test('adds, promotes and removes members within milliseconds', async () => {
    await using cluster = await EtcdCluster.start({ members: 1 })
    const [first] = cluster.members
    assert.ok(first)
    await put(first, 'key', 'value')
    const learner = await cluster.addLearner()
    const added = cluster.members[learner]
    assert.ok(added)
    assert.deepEqual([learner, added.isLearner, added.state], [1, true, 'running'])
    await assert.rejects(read(added, 'key'), /not supported for learner/)
    await cluster.promote(learner)
    assert.equal(added.isLearner, false)
    assert.equal(await read(added, 'key'), 'value')
    await assert.rejects(cluster.promote(learner), /can only promote a learner/)

    const third = await cluster.addMember()
    const leader = await cluster.leader()
    const { dataDir } = cluster.members[leader] ?? assert.fail()
    await cluster.removeMember(leader)
    assert.equal(cluster.members[leader]?.state, 'removed')
    assert.equal(existsSync(dataDir), false)
    assert.equal(cluster.endpoints.length, 2)
    assert.notEqual(await cluster.leader(), leader)
    await cluster.healthy()
    await assert.rejects(cluster.restart(leader), /is removed/)
    assert.match(await cluster.etcdctl('member', 'list'), /m2/)
    assert.equal(third, 2)
  })
})

describe('EtcdCluster.start()', () => {
  test('has one member ready in less than two seconds', async () => {
    const start = performance.now()
    await using cluster = await EtcdCluster.start()
    const tookMs = performance.now() - start
    assert.equal(cluster.members.length, 1)
    assert.ok(tookMs < within(2000), `took ${tookMs} ms`)
  })

  test('passes flags and environment on', async () => {
    await using cluster = await EtcdCluster.start({
      flags: { 'max-txn-ops': 1, 'watch-progress-notify-interval': '1s', 'log-level': 'info' },
      env: { GOMAXPROCS: '1' },
      timers: 'default',
    })
    const [member] = cluster.members
    const operation = { request_range: { key: base64('k') } }
    await assert.rejects(cluster.call('/v3/kv/txn', { success: [operation, operation] }), /too many operations/)
    assert.match(member?.log() ?? '', /"max-cpu-set":1\b/)
    await cluster.restart(0, { flags: { 'max-txn-ops': 2 } })
    await cluster.call('/v3/kv/txn', { success: [operation, operation] })
  })

  test('takes its timers from the option, else from the environment', async () => {
    const saved = process.env.ETCDKIT_ETCD_TIMERS
    try {
      for (const [variable, option, election] of [
        [undefined, undefined, 500],
        ['default', undefined, undefined],
        ['default', 'fast', 500],
        ['fast', 'default', undefined],
      ] as const) {
        if (variable === undefined) delete process.env.ETCDKIT_ETCD_TIMERS
        else process.env.ETCDKIT_ETCD_TIMERS = variable
        assert.equal(baseFlags(option)['election-timeout'], election)
      }
      process.env.ETCDKIT_ETCD_TIMERS = 'slow'
      await assert.rejects(EtcdCluster.start(), /`timers` and ETCDKIT_ETCD_TIMERS must be .* got 'slow'/)
    } finally {
      if (saved === undefined) delete process.env.ETCDKIT_ETCD_TIMERS
      else process.env.ETCDKIT_ETCD_TIMERS = saved
    }
  })

  test('ignores etcd variables of the developer', async () => {
    process.env.ETCD_NAME = 'mine'
    process.env.ETCDCTL_ENDPOINTS = '127.0.0.1:1'
    try {
      await using cluster = await EtcdCluster.start()
      assert.match(await cluster.etcdctl('member', 'list'), /m0/)
    } finally {
      delete process.env.ETCD_NAME
      delete process.env.ETCDCTL_ENDPOINTS
    }
  })

  test('rejects with the log when etcd does not start, and leaves nothing', async () => {
    await assert.rejects(EtcdCluster.start({ flags: { 'no-such-flag': 1 } }), ({ message }: Error) => {
      assert.match(message, /m0 ended before it answers other members/)
      assert.match(message, /flag provided but not defined: -no-such-flag/)
      return true
    })
    assert.deepEqual(ownFolders(), [])
  })

  test('deletes the data on stop(), which may be called again', async () => {
    const cluster = await EtcdCluster.start({ members: 1 })
    const folder = dirname(dirname(cluster.members[0]?.dataDir ?? assert.fail()))
    const { pid } = cluster.members[0] ?? assert.fail()
    assert.ok(existsSync(folder) && pid)
    await cluster.pause(0)
    await Promise.all([cluster.stop(), cluster.stop()])
    assert.equal(existsSync(folder), false)
    assert.throws(() => process.kill(pid, 0), { code: 'ESRCH' })
  })
})
