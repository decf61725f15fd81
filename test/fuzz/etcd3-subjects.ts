import { etcd3 } from './package-entries.js'
import type { Subject } from './subjects.js'

const options = Object.freeze({})
const bytes = Buffer.from('fuzz/a')
const deadline = Object.freeze({ deadline: Date.now() + 60_000 })

/** The lease of a campaign is there for some time when its client is closed. */
let campaigns = 0

/** What all builders of reads have. */
const reads: Subject['valid'] = {
  revision: [1],
  serializable: [true],
  minModRevision: [1],
  maxModRevision: [1],
  minCreateRevision: [1],
  maxCreateRevision: [1],
  options: [options],
}

const keyspace: Subject['valid'] = {
  get: ['fuzz/a'],
  put: ['fuzz/a'],
  lease: [60, options],
  lock: ['fuzz-lock'],
  stm: [options],
  if: ['fuzz/a', 'Version', '==', 1],
  range: ['a'],
  namespace: ['fuzz/'],
  election: ['fuzz-election', 60],
}

/** The objects of `etcdkit/etcd3`. */
export const etcd3Subjects: Readonly<Record<string, Subject>> = {
  'etcd3 module': {
    make: () => etcd3,
    valid: { Etcd3: ({ endpoint }) => [{ hosts: endpoint }], Range: ['a', 'b'] },
  },
  'etcd3 Etcd3': {
    make: ({ etcd3: client }) => client(),
    valid: { ...keyspace, role: ['fuzz-role'], user: ['fuzz-user'], mock: [{}] },
  },
  'etcd3 Namespace': { make: ({ etcd3: client }) => client().namespace('fuzz/'), valid: keyspace },
  'etcd3 SingleRangeBuilder': {
    make: ({ etcd3: client }) => client().get('fuzz/a'),
    valid: { ...reads, string: ['utf8'] },
  },
  'etcd3 MultiRangeBuilder': {
    make: ({ etcd3: client }) => client().getAll().prefix('fuzz/none/'),
    valid: {
      ...reads,
      prefix: ['fuzz/none/'],
      inRange: [{ prefix: 'fuzz/none/' }],
      limit: [1],
      sort: ['Key', 'Ascend'],
      keys: ['utf8'],
      strings: ['utf8'],
    },
  },
  'etcd3 PutBuilder': {
    make: ({ etcd3: client }) => client().put('fuzz/a'),
    valid: { value: ['1'], lease: ['1'], options: [options] },
  },
  'etcd3 DeleteBuilder': {
    make: ({ etcd3: client }) => client().delete().key('fuzz/none'),
    valid: {
      key: ['fuzz/none'],
      prefix: ['fuzz/none/'],
      range: [new etcd3.Range('fuzz/none')],
      inRange: [{ prefix: 'fuzz/none/' }],
      options: [options],
    },
  },
  'etcd3 ComparatorBuilder': {
    make: ({ etcd3: client }) => client().if('fuzz/none', 'Create', '>', 0),
    valid: { and: ['fuzz/none', 'Mod', '>', 0], options: [options] },
  },
  'etcd3 WatchBuilder': {
    make: ({ etcd3: client }) => client().watch().key('fuzz/a'),
    valid: {
      key: ['fuzz/a'],
      prefix: ['fuzz/'],
      inRange: [{ prefix: 'fuzz/' }],
      only: ['put'],
      ignore: ['put'],
      startRevision: ['1'],
    },
  },
  'etcd3 Watcher': { make: ({ etcd3: client }) => client().watch().key('fuzz/a').create() },
  'etcd3 Lease': {
    make: async ({ etcd3: client }) => {
      const lease = client().lease(60)
      await lease.grant()
      return lease
    },
    valid: { put: ['fuzz/leased'], keepaliveOnce: [options], revoke: [options] },
  },
  'etcd3 Lock': {
    make: ({ etcd3: client }) => client().lock('fuzz-lock'),
    valid: { ttl: [60], options: [options], do: [() => 1] },
  },
  'etcd3 Election': {
    make: ({ etcd3: client }) => client().election('fuzz-election'),
    valid: { campaign: ['v'], leader: ['utf8'] },
  },
  'etcd3 Campaign': {
    make: ({ etcd3: client }) => client().election(`fuzz-campaign-${++campaigns}`).campaign('v').wait(),
    valid: { proclaim: ['w'] },
  },
  'etcd3 ElectionObserver': {
    make: ({ etcd3: client }) => client().election('fuzz-nobody').observe(),
    valid: { leader: ['utf8'] },
  },
  'etcd3 SoftwareTransaction': {
    make: ({ etcd3: client }) => client().stm(),
    valid: { transact: [() => 1] },
  },
  'etcd3 Range': {
    make: () => new etcd3.Range('a', 'b'),
    valid: { includes: ['a'], compare: [new etcd3.Range('a')] },
  },
  'etcd3 Range (class)': { make: () => etcd3.Range, valid: { prefix: ['a'], from: ['a'] } },
  'etcd3 Role': {
    make: ({ etcd3: client }) => client().role('fuzz-role'),
    valid: {
      create: [deadline],
      delete: [deadline],
      permissions: [deadline],
      grant: [{ permission: 'Read', key: 'k' }, deadline],
      revoke: [{ permission: 'Read', key: 'k' }, deadline],
      addUser: ['fuzz-user', deadline],
      removeUser: ['fuzz-user', deadline],
    },
  },
  'etcd3 User': {
    make: ({ etcd3: client }) => client().user('fuzz-user'),
    valid: {
      create: ['password', deadline],
      setPassword: ['password', deadline],
      delete: [deadline],
      roles: [deadline],
      addRole: ['fuzz-role', deadline],
      removeRole: ['fuzz-role', deadline],
    },
  },
  'etcd3 KVClient': {
    make: ({ etcd3: client }) => client().kv,
    valid: {
      range: [{ key: bytes }, options],
      put: [{ key: bytes }, options],
      deleteRange: [{ key: Buffer.from('fuzz/none') }, options],
      txn: [{ compare: [], success: [], failure: [] }, options],
      compact: [{ revision: 1 }, options],
    },
  },
  'etcd3 LeaseClient': {
    make: ({ etcd3: client }) => client().leaseClient,
    valid: {
      leaseGrant: [{ TTL: 60 }, options],
      leaseRevoke: [{ ID: 1 }, options],
      leaseTimeToLive: [{ ID: 1 }, options],
      leaseLeases: [options],
      leaseKeepAlive: [options],
    },
  },
  'etcd3 WatchClient': { make: ({ etcd3: client }) => client().watchClient, valid: { watch: [options] } },
  'etcd3 Stream': {
    make: ({ etcd3: client }) => client().watchClient.watch(),
    valid: { write: [{ create_request: { key: bytes } }] },
  },
  'etcd3 AuthClient': {
    make: ({ etcd3: client }) => client().auth,
    valid: {
      authEnable: [options],
      authDisable: [options],
      authStatus: [options],
      authenticate: [{ name: 'u', password: 'p' }, options],
      userAdd: [{ name: '', password: 'p' }, options],
      userGet: [{ name: 'u' }, options],
      userList: [options],
      userDelete: [{ name: 'u' }, options],
      userChangePassword: [{ name: 'u', password: 'p' }, options],
      userGrantRole: [{ user: 'u', role: 'r' }, options],
      userRevokeRole: [{ name: 'u', role: 'r' }, options],
      roleAdd: [{ name: '' }, options],
      roleGet: [{ role: 'r' }, options],
      roleList: [options],
      roleDelete: [{ role: 'r' }, options],
      roleGrantPermission: [{ name: 'r', perm: { permType: 'Read', key: bytes } }, options],
      roleRevokePermission: [{ role: 'r', key: bytes }, options],
    },
  },
  'etcd3 ClusterClient': {
    make: ({ etcd3: client }) => client().cluster,
    // The member is not there, and the URL is none: the cluster stays as it is.
    valid: {
      memberAdd: [{ peerURLs: ['none'] }, options],
      memberRemove: [{ ID: 1 }, options],
      memberUpdate: [{ ID: 1, peerURLs: ['none'] }, options],
      memberList: [{}, options],
      memberPromote: [{ ID: 1 }, options],
    },
  },
  'etcd3 MaintenanceClient': {
    make: ({ etcd3: client }) => client().maintenance,
    valid: {
      alarm: [{ action: 'Get' }, options],
      status: [options],
      defragment: [options],
      hash: [options],
      hashKV: [{}, options],
      snapshot: [options],
      moveLeader: [{ targetID: 1 }, options],
      downgrade: [{ action: 'Validate', version: '0.1' }, options],
    },
  },
}
