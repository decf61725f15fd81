export type { Auth, AuthStatus } from './auth/auth.js'
export type { Permission, PermissionType, RolePermissions, Roles } from './auth/roles.js'
export type { User, Users } from './auth/users.js'
export type { BatchingOptions } from './batching/batching-options.js'
export { type ClientEvents, Etcd } from './client.js'
export type { Cluster, MemberAdded, MemberListOptions } from './cluster/cluster.js'
export type { Member } from './cluster/member.js'
export type { Compactor, CompactorEvents, CompactorOptions, CompactorState } from './compactor/compactor.js'
export type { ElectionService, LeaderKey } from './concurrency/election-service.js'
export type { LockService, ServiceLock } from './concurrency/lock-service.js'
export { bytes, type Codec, json, text } from './core/codec.js'
export {
  type ClientErrorCode,
  CompactedError,
  type Effect,
  type ErrorClasses,
  type ErrorCode,
  type ErrorOf,
  EtcdError,
  type EtcdErrorInit,
  InvalidArgumentError,
  isEtcdError,
  type ServerErrorCode,
  type TransportErrorCode,
} from './core/errors.js'
export type { Bytes, KeyRange } from './core/key-range.js'
export { KeyValue } from './core/key-value.js'
export type { Preference, ReadMode, ReadPolicy, ReadPolicyOptions, ReadRule } from './core/read-policy.js'
export type { Election, ElectionOptions } from './election/election.js'
export type { Leadership } from './election/leadership.js'
export type { Health, MemberHealth } from './health/health.js'
export type { Change, ChangeCause } from './informer/change.js'
export type { InvalidEntry } from './informer/draft.js'
export type { Entry } from './informer/entry.js'
export type { ChangeHandler } from './informer/handler-queue.js'
export { Informer } from './informer/informer.js'
export type {
  CodecInformerOptions,
  EventsOptions,
  InformerEvents,
  InformerOptions,
  InformerStats,
  InformerSubscription,
  ReadyOptions,
} from './informer/informer-options.js'
export { Snapshot } from './informer/snapshot.js'
export { ValueInformer, type ValueListener } from './informer/value-informer.js'
export type { Keyspace } from './keyspace.js'
export { type Comparable, type ComparableKey, type Comparison, key, keys } from './kv/compare.js'
export type { CompactOptions, Kv } from './kv/kv.js'
export type { Listing, ListOptions, Page } from './kv/listing.js'
export {
  type DeleteOpResult,
  del,
  delRange,
  get,
  type Operation,
  type PutOpResult,
  put,
  type RangeOpResult,
  range,
} from './kv/operation.js'
export type {
  CountOptions,
  DeleteFields,
  DeleteOptions,
  GetFields,
  GetOptions,
  PutFields,
  PutIfOptions,
  PutOptions,
  RangeFields,
  RangeOptions,
  Sort,
  TouchOptions,
} from './kv/requests.js'
export type {
  ConditionalResult,
  DeleteResult,
  PutResult,
  RangeResult,
  ResponseInfo,
  UpdateResult,
} from './kv/results.js'
export { type ResultsOf, type Txn, type TxnOutcome, type TxnResult, txn } from './kv/txn.js'
export type { UpdateFunction, UpdateOptions } from './kv/update.js'
export type { TokenReason } from './layers/token.js'
export type { AuthOptions, AuthStats } from './layers/token-source.js'
export type { Lease, LeaseState } from './lease/lease.js'
export type { LeaseEvents } from './lease/lease-events.js'
export { LeaseLostError, type LeaseLostReason } from './lease/lease-lost-error.js'
export type { GrantOptions, LeaseStatus, Leases, TimeToLiveOptions } from './lease/leases.js'
export type {
  RegisterOptions,
  Registration,
  RegistrationEvents,
  RegistrationState,
} from './lease/registration.js'
export type { Session } from './lease/session.js'
export type { Lock } from './lock/lock.js'
export { type LockHolder, LockLostError, LockTimeoutError, LockUnavailableError } from './lock/lock-errors.js'
export type { LockOptions } from './lock/lock-options.js'
export type { LockedWork } from './lock/locks.js'
export type { Alarm, Alarms } from './maintenance/alarms.js'
export type { Downgrade, DowngradeResult } from './maintenance/downgrade.js'
export type { EndpointOptions, EndpointResult } from './maintenance/endpoint-call.js'
export type { HashKvResult, HashResult } from './maintenance/hash.js'
export type { HashKvFields, Maintenance, SnapshotOptions } from './maintenance/maintenance.js'
export type { MemberStatus } from './maintenance/member-status.js'
export type { Serving, ServingOptions, ServingStatus, ServingWatchOptions } from './maintenance/serving.js'
export type { SnapshotProgress } from './maintenance/snapshot.js'
export type { Mirror, MirrorEvents, MirrorState } from './mirror/mirror.js'
export type { MirrorDestination, MirrorOptions } from './mirror/mirror-options.js'
export type {
  ClientOptions,
  DiagnosticsOptions,
  DiscoveryOptions,
  MemberSyncOptions,
  ReadCacheOptions,
} from './options.js'
export type { Barrier, HoldOptions } from './recipes/barrier.js'
export type { BarrierEntry } from './recipes/barrier-entry.js'
export { ClaimUnknownError } from './recipes/claim-unknown-error.js'
export type { DoubleBarrier, DoubleBarrierOptions } from './recipes/double-barrier.js'
export type { Grant } from './recipes/grant.js'
export type { MultiLock } from './recipes/multi-lock.js'
export type { PriorityQueue } from './recipes/priority-queue.js'
export type { Enqueued, Queue } from './recipes/queue.js'
export type { RwLock } from './recipes/rw-lock.js'
export type { Semaphore } from './recipes/semaphore.js'
export type { Isolation } from './stm/isolation.js'
export type { StmFunction, StmOptions, StmResult } from './stm/stm.js'
export { StmConflictError } from './stm/stm-conflict-error.js'
export type { StmPutOptions, StmTransaction } from './stm/stm-transaction.js'
export { channels, tracing } from './telemetry/channels.js'
export type { ClientStats, EndpointStats } from './telemetry/client-stats.js'
export type { OperationChannel, OperationSubscribers, StepChannel } from './telemetry/operation-channel.js'
export type {
  AttemptBatch,
  AttemptRecord,
  AttemptStart,
  AuthenticateRecord,
  AuthenticateStart,
  CallOutcome,
  CallRecord,
  CallRequest,
  CallStart,
  ClientIdentity,
  ClusterRecord,
  ConnectRecord,
  EndpointState,
  InformerRecord,
  LeaseRecord,
  LockKind,
  LockRecord,
  LockStart,
  LockWaitRecord,
  RangeKind,
  StreamEvent,
  StreamPlace,
  StreamRecord,
  WatchCreateRecord,
  WatchRecord,
  WatchStart,
} from './telemetry/records.js'
export type { TransportKind } from './transport/channel-settings.js'
export type { ClusterFollowed } from './transport/cluster-follower.js'
export type { ConnectionEvents } from './transport/connection-events.js'
export type { Role } from './transport/connection-state.js'
export type { Pem, TlsOptions } from './transport/credentials.js'
export type { EjectReason } from './transport/ejection.js'
export type { EndpointStatus } from './transport/endpoint-status.js'
export type { CallOptions } from './transport/transport.js'
export type { WatchOptions } from './watch/watch.js'
export { type WatchBatch, WatchEvent } from './watch/watch-event.js'
export type { WatchState } from './watch/watch-queue.js'
export { Watcher, type WatchStatus } from './watch/watcher.js'
