import { inspect } from 'node:util'
import { etcd3 } from './package-entries.js'

const internal = 'only the library constructs it: its public functions are reached through the client'
const error = 'only the library constructs its errors'

/** The classes of `etcdkit/etcd3` that are made through a client. */
const etcd3Classes = [
  'AuthClient',
  'Campaign',
  'ClusterClient',
  'ComparatorBuilder',
  'DeleteBuilder',
  'Election',
  'ElectionObserver',
  'KVClient',
  'Lease',
  'LeaseClient',
  'Lock',
  'MaintenanceClient',
  'MultiRangeBuilder',
  'Namespace',
  'PutBuilder',
  'RangeBuilder',
  'Role',
  'SingleRangeBuilder',
  'SoftwareTransaction',
  'User',
  'WatchBuilder',
  'WatchClient',
  'Watcher',
]

const etcd3Errors = Object.entries(etcd3).flatMap(([name, value]) =>
  Object(value).prototype instanceof Error ? [name] : [],
)

/** Functions that are not fuzzed, each with its reason. */
export const excluded: Readonly<Record<string, string>> = {
  ...Object.fromEntries(etcd3Classes.map((name) => [`etcd3 module.${name}`, internal])),
  'etcd3 Watcher.on': 'the event emitter of Node checks it',
  'etcd3 Lease.on': 'the event emitter of Node checks it',
  'etcd3 Campaign.on': 'the event emitter of Node checks it',
  'etcd3 ElectionObserver.on': 'the event emitter of Node checks it',
  ...Object.fromEntries(etcd3Errors.map((name) => [`etcd3 module.${name}`, error])),
  'etcd3 Stream.onMessage': 'the side of the library',
  'etcd3 Stream.onEnd': 'the side of the library',
  'etcd3 Stream.onDraining': 'the side of the library',
  'etcd3 Watcher.whenConnected': 'marked @internal',
  'etcd3 ComparatorBuilder.mapOperations': 'the side of the library',
  'module.Informer': internal,
  'module.InformerSnapshot': internal,
  'module.KeyValue': internal,
  'module.ValueInformer': internal,
  'module.WatchEvent': internal,
  'module.Watcher': internal,
  'module.ClaimUnknownError': error,
  'module.CompactedError': error,
  'module.EtcdError': error,
  'module.InvalidArgumentError': error,
  'module.LeaseLostError': error,
  'module.LockLostError': error,
  'module.LockTimeoutError': error,
  'module.LockUnavailableError': error,
  'module.StmConflictError': error,
  'Informer.onEnd': 'marked @internal',
  'InformerSnapshot.with': 'marked @internal',
  'InformerSnapshot.at': 'marked @internal',
  'InformerSnapshot.differences': 'marked @internal',
  'Leases.register': 'marked @internal',
  'Leases.take': 'marked @internal',
  'Registration.establish': 'marked @internal',
  'an iterator of changes.give': 'the side of the library',
  'an iterator of changes.fail': 'the side of the library',
  'Operation.read': 'reads the response of a member, by the transaction',
}

/** Classes of the library's own parts, which callers reach but have no use for. */
export const internalClasses: readonly string[] = ['Freshness', 'CallerError', 'ConnectionPool', 'KeyPrefix']

/** Arguments and options that accept every value, by function and position or name, each with its reason. */
export const acceptsAnything: Readonly<Record<string, string>> = {
  'Etcd (class).fromEnv 1': 'an environment is any object: its variables are optional',
  'etcd3 Etcd3.mock 0': 'a mock is any object',
  'etcd3 PutBuilder.lease 0': 'a promise of an ID is an ID',
  'ServiceEndpoints.register 0.metadata': 'any value for JSON',
  'ServiceEndpoints.add 0.metadata': 'any value for JSON',
  'json.encode 0': 'JSON has a form for it',
}

/** Methods of any object that Node calls, with arguments that it makes. */
export const excludedMethods: readonly string[] = [String(inspect.custom)]
