export type { Auth, AuthStatus } from './auth/auth.js'
export type { Permission, PermissionType, Role, Roles } from './auth/roles.js'
export type { TokenReason } from './auth/token.js'
export type { AuthOptions, AuthStats } from './auth/token-source.js'
export type { User, Users } from './auth/users.js'
export { type ClientEvents, Etcd } from './client/client.js'
export type { Keyspace } from './client/keyspace.js'
export type {
  ClientOptions,
  DiagnosticsOptions,
  DiscoveryOptions,
  MemberSyncOptions,
  ReadCacheOptions,
} from './client/options.js'
export type { Cluster, MemberAddResult, MemberListOptions } from './cluster/cluster.js'
export type { Member } from './cluster/member.js'
export type { Barrier, HoldOptions } from './concurrency/barrier.js'
export type { BarrierEntry } from './concurrency/barrier-entry.js'
export type { DoubleBarrier, DoubleBarrierOptions } from './concurrency/double-barrier.js'
export type { Election, ElectionOptions } from './concurrency/election.js'
export type { Leadership } from './concurrency/leadership.js'
export {
  type LockHolder,
  LockLostError,
  LockTimeoutError,
  LockUnavailableError,
} from './concurrency/lock-errors.js'
export type { LockHandle } from './concurrency/lock-handle.js'
export type { LockOptions } from './concurrency/lock-options.js'
export type { LockedWork } from './concurrency/locks.js'
export type { MultiLock } from './concurrency/multi-lock.js'
export { ClaimUnknownError } from './concurrency/queues/claim-unknown-error.js'
export type { PriorityQueue } from './concurrency/queues/priority-queue.js'
export type { EnqueueResult, Queue } from './concurrency/queues/queue.js'
export type { ReleaseDelayed } from './concurrency/release.js'
export type { RwLock } from './concurrency/rw-lock.js'
export type { Semaphore } from './concurrency/semaphore.js'
export type { Isolation } from './concurrency/stm/isolation.js'
export type { StmFunction, StmOptions, StmResult } from './concurrency/stm/stm.js'
export { StmConflictError } from './concurrency/stm/stm-conflict-error.js'
export type { StmPutOptions, StmTransaction } from './concurrency/stm/stm-transaction.js'
export { bytes, type Codec, type Decoder, json, text } from './core/codec.js'
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
export { KeyValue, type KeyValueJson } from './core/key-value.js'
export type { Preference, ReadMode, ReadPolicy, ReadPolicyOptions, ReadRule } from './core/read-policy.js'
export type {
  SchemaInput,
  SchemaIssue,
  SchemaOutput,
  SchemaResult,
  StandardSchema,
} from './core/standard-schema.js'
export type { Change, ChangeSource } from './informer/change.js'
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
export { InformerSnapshot } from './informer/snapshot.js'
export { ValueInformer, type ValueListener } from './informer/value-informer.js'
export type { RetryOptions } from './interceptors/retry-options.js'
export type { UnaryCall, UnaryInterceptor, UnaryResponse } from './interceptors/user-interceptors.js'
export type { BatchingOptions } from './kv/batching/batching-options.js'
export { type Comparable, type ComparableKey, type Comparison, key, keys } from './kv/compare.js'
export type { CompactOptions, Kv } from './kv/kv.js'
export type { Listing, ListOptions, Page } from './kv/listing.js'
export {
  type DeleteOpResult,
  deleteKey,
  deleteRange,
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
export type { Alarm, Alarms } from './maintenance/alarms.js'
export type { Compactor, CompactorEvents, CompactorOptions, CompactorState } from './maintenance/compactor.js'
export type { Downgrade, DowngradeResult } from './maintenance/downgrade.js'
export type { EndpointOptions, EndpointResult } from './maintenance/endpoint-call.js'
export type { HashKvResult, HashResult } from './maintenance/hash.js'
export type { Health, MemberHealth } from './maintenance/health.js'
export type { HashKvFields, Maintenance, SnapshotOptions } from './maintenance/maintenance.js'
export type { MemberStatus } from './maintenance/member-status.js'
export type { Serving, ServingOptions, ServingStatus, ServingWatchOptions } from './maintenance/serving.js'
export type { SnapshotProgress } from './maintenance/snapshot.js'
export type { Mirror, MirrorEvents, MirrorState } from './mirror/mirror.js'
export type { MirrorDestination, MirrorOptions } from './mirror/mirror-options.js'
export { loadServiceDefinitions, type ServiceDefinitions } from './protobuf/service-definitions.js'
export type { ElectionService, LeaderKey } from './server-concurrency/election-service.js'
export type { LockService, ServiceLock } from './server-concurrency/lock-service.js'
export { channels, tracing } from './telemetry/channels.js'
export type { ClientStats, EndpointStats } from './telemetry/client-stats.js'
export type { LogLevel } from './telemetry/log-lines.js'
export type { Logger } from './telemetry/logger.js'
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
  StreamRecord,
  StreamTarget,
  WatchCreateRecord,
  WatchRecord,
  WatchStart,
} from './telemetry/records.js'
export type { TransportKind } from './transport/channel-settings.js'
export type { ClusterFollowed } from './transport/connection/cluster-follower.js'
export type { ConnectionEvents } from './transport/connection/connection-events.js'
export type { MemberRole } from './transport/connection/connection-state.js'
export type { EjectReason } from './transport/connection/ejection.js'
export type { EndpointStatus } from './transport/connection/endpoint-status.js'
export type { Pem, TlsOptions } from './transport/credentials.js'
export type { StreamPurpose } from './transport/stream-slots.js'
export type { CallOptions } from './transport/transport.js'
export type {
  TypedConditionalResult,
  TypedGetOptions,
  TypedKeyspace,
  TypedUpdateFunction,
} from './typed/typed-keyspace.js'
export type { TypedListing, TypedListOptions } from './typed/typed-listing.js'
export type { TypedComparableKey, TypedOperations } from './typed/typed-operations.js'
export type { TypedBatch, TypedEvent, TypedWatcher } from './typed/typed-watcher.js'
export type { WatchOptions } from './watch/watch.js'
export { type WatchBatch, WatchEvent, type WatchEventJson } from './watch/watch-event.js'
export type { WatchState } from './watch/watch-queue.js'
export { Watcher, type WatchStatus } from './watch/watcher.js'
