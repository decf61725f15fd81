import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { before, describe, test } from 'node:test'
import { Etcd, isEtcdError, type LeaderKey, type Lease } from '../../src/index.js'
import { useClient, useCluster } from '../support/cluster.js'
import { memberAt } from '../support/cluster-view.js'
import { attemptRecords, collect, fill } from '../support/fixtures.js'

const protos = join(import.meta.dirname, '../../proto')
const root = { username: 'root', password: 'root' }

/** Every RPC of the protocol, as `Service.Method`, with the name of the gRPC service. */
function rpcs(): Map<string, { readonly service: string; readonly method: string }> {
  const found = new Map<string, { service: string; method: string }>()
  for (const file of readdirSync(protos)) {
    const text = readFileSync(join(protos, file), 'utf8')
    const [, packageName = ''] = /^package ([\w.]+);/m.exec(text) ?? []
    for (const [, service = '', body = ''] of text.matchAll(/^service (\w+) \{(.*?)^\}/gms)) {
      for (const [, method = ''] of body.matchAll(/\brpc (\w+)/g)) {
        found.set(`${service}.${method}`, { service: `${packageName}.${service}`, method })
      }
    }
  }
  return found
}

describe('Every RPC', () => {
  const cluster = useCluster({ flags: { 'strict-reconfig-check': false, 'bcrypt-cost': 4 } })
  const etcd = useClient(cluster)
  let endpoint: string
  let memberId: string
  let learnerId: string
  let lease: Lease
  let lockKey: Buffer
  let leader: LeaderKey

  before(async () => {
    endpoint = cluster.endpoints[0] ?? ''
    memberId = memberAt(cluster, 0).memberId
  })

  /** In an order in which each finds what it needs. */
  const calls: Readonly<Record<string, () => unknown>> = {
    'KV.Put': () => etcd.put('key', 'value'),
    'KV.Range': () => etcd.get('key'),
    'KV.Txn': () => etcd.txn().commit(),
    'KV.DeleteRange': () => etcd.delete('key'),
    'KV.Compact': async () => etcd.compact((await etcd.put('key', 'value')).revision),
    'KV.RangeStream': async () => {
      // A listing of more than two pages.
      await fill(etcd.namespace('many/'), 2000)
      await collect(etcd.list({ prefix: 'many/' }))
    },
    'Watch.Watch': async () => {
      const watcher = etcd.watch('key')
      await watcher.ready()
      await watcher.close()
    },
    'Lease.LeaseGrant': () => etcd.lease.grant(60),
    'Lease.LeaseKeepAlive': async () => {
      // The stream of the others is open already.
      await using own = new Etcd({ endpoints: cluster.endpoints })
      await own.lease.keepAliveOnce((await etcd.lease.grant(60)).id)
    },
    'Lease.LeaseTimeToLive': async () => etcd.lease.timeToLive((await etcd.lease.grant(60)).id),
    'Lease.LeaseLeases': () => etcd.lease.list(),
    'Lease.LeaseRevoke': async () => (await etcd.lease.grant(60)).revoke(),
    'Cluster.MemberList': () => etcd.cluster.list(),
    'Cluster.MemberAdd': async () => {
      learnerId = (await etcd.cluster.addLearner('http://127.0.0.1:1')).member.id
    },
    'Cluster.MemberUpdate': () => etcd.cluster.update(learnerId, 'http://127.0.0.1:2'),
    'Cluster.MemberPromote': () => etcd.cluster.promote(learnerId, { timeoutMs: 200 }),
    'Cluster.MemberRemove': () => etcd.cluster.remove(learnerId),
    'Maintenance.Status': () => etcd.maintenance.status({ endpoint }),
    'Maintenance.Alarm': () => etcd.maintenance.alarms.list(),
    'Maintenance.Hash': () => etcd.maintenance.hash({ endpoint }),
    'Maintenance.HashKV': () => etcd.maintenance.hashKv({ endpoint }),
    'Maintenance.Snapshot': async () => {
      for await (const piece of etcd.maintenance.snapshot()) assert.ok(piece.length > 0)
    },
    'Maintenance.Defragment': () => etcd.maintenance.defragment({ endpoint }),
    'Maintenance.MoveLeader': () => etcd.maintenance.moveLeader(memberId),
    'Maintenance.Downgrade': () => etcd.maintenance.downgrade.validate('3.0'),
    'Health.Check': async () => assert.equal(await etcd.maintenance.serving.check({ endpoint }), 'SERVING'),
    'Health.List': () => etcd.maintenance.serving.list({ endpoint }),
    'Health.Watch': async () => {
      const watch = etcd.maintenance.serving.watch({ endpoint })
      assert.deepEqual(await watch.next(), { value: 'SERVING', done: false })
      await watch.return()
    },
    'Lock.Lock': async () => {
      lease = await etcd.lease.grant(60)
      lockKey = (await etcd.lockService.lock('lock', lease.id)).key
    },
    'Lock.Unlock': () => etcd.lockService.unlock(lockKey),
    'Election.Campaign': async () => {
      leader = await etcd.electionService.campaign('election', lease.id, 'me')
    },
    'Election.Proclaim': () => etcd.electionService.proclaim(leader, 'still me'),
    'Election.Leader': async () => assert.equal((await etcd.electionService.leader('election'))?.valueText, 'still me'),
    'Election.Observe': async () => {
      const observing = etcd.electionService.observe('election')
      assert.equal((await observing.next()).done, false)
      await observing.return(undefined)
    },
    'Election.Resign': () => etcd.electionService.resign(leader),
    'Auth.UserAdd': () => etcd.auth.users.add('root', 'other'),
    'Auth.UserChangePassword': () => etcd.auth.users.setPassword('root', root.password),
    'Auth.UserList': () => etcd.auth.users.list(),
    'Auth.RoleAdd': () => etcd.auth.roles.add('root'),
    'Auth.UserGrantRole': () => etcd.auth.users.grantRole('root', 'root'),
    'Auth.UserGet': () => etcd.auth.users.get('root'),
    'Auth.RoleList': () => etcd.auth.roles.list(),
    'Auth.RoleGrantPermission': () => etcd.auth.roles.grant('root', 'read', 'key'),
    'Auth.RoleGet': () => etcd.auth.roles.get('root'),
    'Auth.RoleRevokePermission': () => etcd.auth.roles.revoke('root', 'key'),
    'Auth.AuthEnable': () => etcd.auth.enable(),
    'Auth.Authenticate': async () => {
      await using own = new Etcd({ endpoints: cluster.endpoints, auth: root })
      await own.get('key')
    },
    'Auth.AuthDisable': async () => {
      await using own = new Etcd({ endpoints: cluster.endpoints, auth: root })
      await own.auth.disable()
    },
    'Auth.AuthStatus': () => etcd.auth.status(),
    'Auth.UserRevokeRole': () => etcd.auth.users.revokeRole('root', 'root'),
    'Auth.UserDelete': () => etcd.auth.users.remove('root'),
    'Auth.RoleDelete': () => etcd.auth.roles.remove('root'),
  }

  /** What the cluster may answer all the same: the learner is not there, the release has no such call. */
  const allowed = ['LEARNER_NOT_READY', 'DEADLINE_EXCEEDED', 'UNIMPLEMENTED', 'INVALID_DOWNGRADE_TARGET']

  test('of the protocol has a typed call', () => {
    assert.deepEqual(Object.keys(calls).sort(), [...rpcs().keys()].sort())
    assert.equal(rpcs().size, 52)
  })

  for (const [name, call] of Object.entries(calls)) {
    test(`${name} is reached by its call`, async (t) => {
      if (name === 'KV.RangeStream' && !cluster.version.startsWith('3.7.')) {
        t.skip('it is new in etcd 3.7')
        return
      }
      const sent = attemptRecords(t)
      const { service, method } = rpcs().get(name) ?? assert.fail(name)
      const started = () =>
        memberAt(cluster, 0).metric('grpc_server_started_total', { grpc_service: service, grpc_method: method })
      const before = await started()
      try {
        await call()
      } catch (error) {
        assert.ok(isEtcdError(error) && allowed.includes(error.code), String(error))
      }
      // Streams and logins are seen by the member only, what it does not know by the client only.
      assert.ok((await started()) > before || sent.some((record) => record.method === name), name)
    })
  }
})
