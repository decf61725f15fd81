import promClient from 'prom-client'
import type { Etcd3 } from '../../src/etcd3/index.js'
import type { ClientOptions, Etcd } from '../../src/index.js'
import { kit, naming, otel, prometheus, workqueue } from './package-entries.js'

/** What a subject is made with: a separate client. */
export interface Scope {
  readonly etcd: Etcd
  readonly endpoint: string
  /** A client of etcd3, closed with the other one. */
  readonly etcd3: () => Etcd3
}

/** An object or a module whose functions are fuzzed, all that reflection finds. */
export interface Subject {
  readonly make: (scope: Scope) => unknown
  /** Arguments that are accepted, by the name of the function; options come last. Others are called with hostile ones only. */
  readonly valid?: Readonly<Record<string, readonly unknown[] | ((scope: Scope) => readonly unknown[])>>
}

const noop = (): void => {}
const options = Object.freeze({})
const shortWait = Object.freeze({ timeoutMs: 30 })
const prefix = Object.freeze({ prefix: 'fuzz/' })

async function written(etcd: Etcd) {
  await etcd.put('fuzz/a', '1')
  const kv = await etcd.get('fuzz/a')
  if (kv === undefined) throw new Error('the key was not written')
  return kv
}

/** Keys, ranges, and what is built on them. */
const keyspace: Subject['valid'] = {
  get: ['fuzz/a', options],
  exists: ['fuzz/a', options],
  range: [prefix, options],
  count: [prefix, options],
  list: [prefix, options],
  put: ['fuzz/a', '1', options],
  touch: ['fuzz/a', options],
  delete: ['fuzz/b', options],
  deleteRange: [{ prefix: 'fuzz/none/' }, options],
  putIf: ['fuzz/a', '1', 0, options],
  deleteIf: ['fuzz/a', 1, options],
  update: ['fuzz/u', () => '1', options],
  compact: [1, options],
  watch: [prefix, options],
  informer: [prefix, options],
  value: ['fuzz/a', kit.text],
  stm: [() => 1, options],
  lock: ['fuzz-lock', options],
  tryLock: ['fuzz-lock', options],
  withLock: ['fuzz-lock', options, noop],
  lockAll: [['fuzz-lock'], options],
  rwLock: ['fuzz-rw'],
  semaphore: ['fuzz-semaphore', 2],
  barrier: ['fuzz-barrier'],
  doubleBarrier: ['fuzz-double', 2, options],
  queue: ['fuzz-queue'],
  priorityQueue: ['fuzz-priority'],
  register: ['fuzz/r', '1', options],
  election: ['fuzz-election', options],
  mirror: ({ etcd }) => ['fuzz/none/', etcd.namespace('fuzz-copy/'), options],
  namespace: ['fuzz-namespace/'],
  typed: ['fuzz/typed/', kit.text],
}

export const subjects: Readonly<Record<string, Subject>> = {
  module: {
    make: () => kit,
    valid: {
      Etcd: ({ endpoint }) => [{ endpoints: endpoint } satisfies ClientOptions],
      get: ['k', options],
      put: ['k', 'v', options],
      range: [prefix, options],
      deleteKey: ['k', options],
      deleteRange: [prefix, options],
      key: ['k'],
      keys: [prefix],
    },
  },
  Etcd: {
    make: ({ etcd }) => etcd,
    valid: {
      ...keyspace,
      connect: [options],
      health: [options],
      compactor: [options],
      on: ['connected', noop],
      setEndpoints: ({ endpoint }) => [endpoint],
    },
  },
  'Etcd (class)': { make: () => kit.Etcd, valid: { fromEnv: ({ endpoint }) => [{ endpoints: endpoint }, {}] } },
  Namespace: { make: ({ etcd }) => etcd.namespace('fuzz-namespace/'), valid: keyspace },
  Batcher: {
    make: ({ etcd }) => etcd.batcher(),
    valid: { put: ['fuzz/a', '1', options], delete: ['fuzz/b', options] },
  },
  Typed: {
    make: ({ etcd }) => etcd.typed('fuzz/typed/', kit.text),
    valid: {
      ...keyspace,
      get: ['a', options],
      entry: ['a', options],
      exists: ['a', options],
      put: ['a', '1', options],
      putIf: ['a', '1', 0, options],
      deleteIf: ['a', 1, options],
      update: ['u', () => '1', options],
      delete: ['b', options],
      value: ['a'],
    },
  },
  'Typed operations': {
    make: ({ etcd }) => etcd.typed('fuzz/typed/', kit.text).ops,
    valid: { key: ['a'], get: ['a', options], put: ['a', '1', options], deleteKey: ['a', options] },
  },
  'Typed listing': { make: ({ etcd }) => etcd.typed('fuzz/typed/', kit.text).list() },
  'Typed watcher': {
    make: ({ etcd }) => etcd.typed('fuzz/typed/', kit.text).watch(),
    valid: { ready: [options] },
  },
  KeyValue: { make: ({ etcd }) => written(etcd), valid: { as: [kit.text] } },
  text: { make: () => kit.text, valid: { encode: ['x'], decode: [Buffer.from('x')] } },
  json: { make: () => kit.json(), valid: { encode: [{ x: 1 }], decode: [Buffer.from('{}')] } },
  bytes: { make: () => kit.bytes },
  'key()': { make: () => kit.key('k') },
  'key().version': { make: () => kit.key('k').version, valid: { equals: [1] } },
  'key().value': { make: () => kit.key('k').value, valid: { equals: ['v'] } },
  'key().lease': { make: () => kit.key('k').lease, valid: { equals: ['1a'] } },
  Comparison: { make: () => kit.key('k').exists() },
  Operation: { make: () => kit.get('k') },
  Txn: {
    make: ({ etcd }) => etcd.txn(),
    valid: {
      if: [kit.key('fuzz/a').exists()],
      then: [kit.get('fuzz/a')],
      else: [kit.get('fuzz/a')],
      commit: [options],
    },
  },
  Listing: { make: ({ etcd }) => etcd.list(prefix) },
  Watcher: { make: ({ etcd }) => etcd.watch(prefix), valid: { ready: [options] } },
  'an iterator of keys': { make: ({ etcd }) => etcd.list(prefix)[Symbol.asyncIterator]() },
  'an iterator of events': { make: ({ etcd }) => etcd.watch(prefix)[Symbol.asyncIterator]() },
  'an iterator of batches': { make: ({ etcd }) => etcd.watch(prefix).batches() },
  'an iterator of changes': { make: ({ etcd }) => etcd.informer(prefix).events() },
  Informer: {
    make: ({ etcd }) => etcd.informer(prefix, { indexes: { first: (value: string) => [value] } }),
    valid: {
      ready: [options],
      get: ['fuzz/a'],
      entry: ['fuzz/a'],
      has: ['fuzz/a'],
      range: ['a', 'b'],
      by: ['first', '1'],
      terms: ['first'],
      waitForRevision: [1, options],
      getFresh: ['fuzz/a', options],
      subscribe: [noop],
      on: ['change', noop],
      events: [options],
    },
  },
  InformerSubscription: { make: ({ etcd }) => etcd.informer(prefix).subscribe(noop) },
  InformerSnapshot: {
    make: async ({ etcd }) => {
      const informer = etcd.informer(prefix)
      await informer.ready()
      return informer.snapshot()
    },
    valid: { get: ['fuzz/a'], range: ['a', 'b'] },
  },
  ValueInformer: {
    make: ({ etcd }) => etcd.value('fuzz/a'),
    valid: { ready: [options], onChange: [noop], onError: [noop], waitForRevision: [1, options] },
  },
  Leases: {
    make: ({ etcd }) => etcd.lease,
    valid: {
      grant: [60, options],
      revoke: ['1a', options],
      timeToLive: ['1a', options],
      list: [options],
      keepAliveOnce: ['1a', options],
      shared: [60, options],
    },
  },
  Lease: { make: ({ etcd }) => etcd.lease.grant(60), valid: { revoke: [options] } },
  Session: { make: ({ etcd }) => etcd.lease.shared(60), valid: { revoke: [options] } },
  Registration: {
    make: ({ etcd }) => etcd.register('fuzz/registration', '1', { ttlSeconds: 60 }),
    valid: { update: ['2', options], close: [options] },
  },
  LockHandle: { make: ({ etcd }) => etcd.lock('fuzz-handle'), valid: { rewrite: ['x'] } },
  MultiLock: { make: ({ etcd }) => etcd.lockAll(['fuzz-all']), valid: { fence: ['fuzz-all'] } },
  RwLock: {
    make: ({ etcd }) => etcd.rwLock('fuzz-rw'),
    valid: { read: [options], write: [shortWait], tryRead: [options], tryWrite: [options] },
  },
  Semaphore: {
    make: ({ etcd }) => etcd.semaphore('fuzz-semaphore', 100),
    valid: { acquire: [options], tryAcquire: [options] },
  },
  Barrier: {
    make: ({ etcd }) => etcd.barrier('fuzz-barrier'),
    valid: { hold: [options], release: [options], wait: [shortWait] },
  },
  DoubleBarrier: { make: ({ etcd }) => etcd.doubleBarrier('fuzz-double', 1), valid: { enter: [options] } },
  BarrierEntry: { make: ({ etcd }) => etcd.doubleBarrier('fuzz-entry', 1).enter(), valid: { leave: [options] } },
  Queue: {
    make: ({ etcd }) => etcd.queue('fuzz-queue'),
    valid: { enqueue: ['v', options], dequeue: [shortWait], size: [options] },
  },
  PriorityQueue: {
    make: ({ etcd }) => etcd.priorityQueue('fuzz-priority'),
    valid: { enqueue: ['v', 1, options], dequeue: [shortWait], size: [options] },
  },
  Election: {
    make: ({ etcd }) => etcd.election('fuzz-election'),
    valid: { campaign: ['v', shortWait], leader: [options] },
  },
  Leadership: { make: ({ etcd }) => etcd.election('fuzz-leadership').campaign('v'), valid: { proclaim: ['w'] } },
  Mirror: {
    make: ({ etcd }) => etcd.mirror('fuzz/none/', etcd.namespace('fuzz-mirrored/')),
    valid: { on: ['synced', noop], synced: [0, options] },
  },
  Auth: { make: ({ etcd }) => etcd.auth, valid: { status: [options], enable: [options], disable: [options] } },
  Users: {
    make: ({ etcd }) => etcd.auth.users,
    valid: {
      add: ['fuzz-user', 'password', options],
      get: ['fuzz-user', options],
      list: [options],
      remove: ['fuzz-user', options],
      setPassword: ['fuzz-user', 'p', options],
      grantRole: ['fuzz-user', 'r', options],
      revokeRole: ['fuzz-user', 'r', options],
    },
  },
  Roles: {
    make: ({ etcd }) => etcd.auth.roles,
    valid: {
      add: ['fuzz-role', options],
      get: ['fuzz-role', options],
      list: [options],
      remove: ['fuzz-role', options],
      grant: ['fuzz-role', 'read', prefix, options],
      revoke: ['fuzz-role', prefix, options],
    },
  },
  Cluster: {
    make: ({ etcd }) => etcd.cluster,
    // The member is not there, and the URL is none: the cluster stays as it is.
    valid: {
      list: [options],
      add: ['none', options],
      addLearner: ['none', options],
      promote: ['dead', options],
      remove: ['dead', options],
      update: ['dead', 'none', options],
    },
  },
  Maintenance: {
    make: ({ etcd }) => etcd.maintenance,
    valid: {
      status: at,
      statuses: [options],
      hash: at,
      hashKv: at,
      hashKvs: [options],
      defragment: at,
      moveLeader: ['dead', options],
      snapshot: [options],
      saveSnapshot: ['/nonexistent/snapshot', options],
    },
  },
  Alarms: {
    make: ({ etcd }) => etcd.maintenance.alarms,
    valid: {
      list: [options],
      disarm: [{ memberId: 'dead', type: 'CORRUPT' }, options],
      disarmAll: [options],
    },
  },
  Downgrade: {
    make: ({ etcd }) => etcd.maintenance.downgrade,
    valid: { validate: ['0.1', options], enable: ['0.1', options], cancel: [options] },
  },
  Serving: { make: ({ etcd }) => etcd.maintenance.serving, valid: { check: at, list: at, watch: at } },
  Compactor: {
    make: ({ etcd }) => etcd.compactor({ retainMs: 3_600_000, key: 'fuzz-compactor' }),
    valid: { on: ['failed', noop] },
  },
  LockService: {
    make: async ({ etcd }) => etcd.lockService,
    valid: { lock: ['fuzz-service', '1a', shortWait], unlock: ['fuzz/none', options] },
  },
  ElectionService: {
    make: ({ etcd }) => etcd.electionService,
    valid: {
      campaign: ['fuzz-service', '1a', 'v', shortWait],
      leader: ['fuzz-service', options],
      observe: ['fuzz-service', options],
      proclaim: [{ name: 'n', key: 'k', createRevision: 1, lease: '1a' }, 'v', options],
      resign: [{ name: 'n', key: 'k', createRevision: 1, lease: '1a' }, options],
    },
  },
  'naming module': { make: () => naming, valid: { ServiceEndpoints: ({ etcd }) => [etcd, 'service'] } },
  ServiceEndpoints: {
    make: ({ etcd }) => new naming.ServiceEndpoints(etcd, 'fuzz-service'),
    valid: {
      register: [{ address: '127.0.0.1:1' }, options],
      add: [{ address: '127.0.0.1:1' }, options],
      delete: ['127.0.0.1:2', options],
      update: [[{ op: 'add', endpoint: { address: '127.0.0.1:1' } }], options],
      list: [options],
      watch: [options],
      subscribe: [{ onEndpoints: noop, onError: noop }],
    },
  },
  Follower: {
    make: ({ etcd }) =>
      new naming.ServiceEndpoints(etcd, 'fuzz-service').subscribe({ onEndpoints: noop, onError: noop }),
  },
  'otel module': { make: () => otel, valid: { instrument: ({ etcd }) => [etcd, options] } },
  'prometheus module': {
    make: () => prometheus,
    valid: { expose: ({ etcd }) => [etcd, { promClient, registry: new promClient.Registry() }] },
  },
  'workqueue module': {
    make: () => workqueue,
    valid: { WorkQueue: [noop, { onError: noop }] },
  },
  WorkQueue: {
    make: () => new workqueue.WorkQueue(noop, { onError: noop }),
    valid: { add: ['k'], addAfter: ['k', 1], failures: ['k'] },
  },
}

function at({ endpoint }: Scope): readonly unknown[] {
  return [{ endpoint }]
}
