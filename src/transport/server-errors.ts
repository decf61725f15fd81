import type { Effect, ServerErrorCode } from '../core/errors.js'

/** The meaning of an error message of a server. */
export interface ServerError {
  readonly code: ServerErrorCode | 'UNIMPLEMENTED' | 'UNKNOWN'
  /** Whether a write that failed with it may have been applied. */
  readonly effect: Effect
  /** Whether the same call may succeed on another member or later. */
  readonly retryable: boolean
}

const serverError =
  (effect: Effect, retryable: boolean) =>
  (code: ServerError['code']): ServerError => ({ code, effect, retryable })

/** Refused; a retry would be refused as well. */
const refused = serverError('none', false)
/** Refused before anything was executed, for a reason that is temporary, or is resolved by another member or a new token. */
const transient = serverError('none', true)
/** Aborted by the server during execution, for a temporary reason. */
const interrupted = serverError('unknown', true)
/** Failed with an error that does not exclude that the write was applied. */
const uncertain = serverError('unknown', false)

/**
 * Every error message of etcd 3.4 to 3.7. The message determines the error, not the gRPC code, which differs between releases
 * and proxies.
 *
 * - NO_SPACE: the write that exceeds the quota may be applied although it fails with this error (etcd issue 16659).
 * - FUTURE_REVISION: only a serializable read can succeed on another member, which cannot be seen from the message.
 */
export const serverErrors: ReadonlyMap<string, ServerError> = new Map([
  ['etcdserver: key is not provided', refused('EMPTY_KEY')],
  ['etcdserver: key not found', refused('KEY_NOT_FOUND')],
  ['etcdserver: value is provided', refused('VALUE_PROVIDED')],
  ['etcdserver: lease is provided', refused('LEASE_PROVIDED')],
  ['etcdserver: too many operations in txn request', refused('TOO_MANY_OPS')],
  ['etcdserver: duplicate key given in txn request', refused('DUPLICATE_KEY')],
  ['etcdserver: invalid client api version', refused('INVALID_CLIENT_API_VERSION')],
  ['etcdserver: invalid sort option', refused('INVALID_SORT_OPTION')],
  ['etcdserver: mvcc: required revision has been compacted', refused('COMPACTED')],
  ['etcdserver: mvcc: required revision is a future revision', refused('FUTURE_REVISION')],
  ['etcdserver: mvcc: database space exceeded', uncertain('NO_SPACE')],
  ['etcdserver: requested lease not found', refused('LEASE_NOT_FOUND')],
  ['etcdserver: lease already exists', refused('LEASE_EXISTS')],
  ['etcdserver: too large lease TTL', refused('LEASE_TTL_TOO_LARGE')],
  ['etcdserver: watch canceled', interrupted('WATCH_CANCELED')],
  ['etcdserver: member ID already exist', refused('MEMBER_EXISTS')],
  ['etcdserver: Peer URLs already exists', refused('PEER_URL_EXISTS')],
  ['etcdserver: re-configuration failed due to not enough started members', transient('MEMBER_NOT_ENOUGH_STARTED')],
  ['etcdserver: given member URLs are invalid', refused('MEMBER_BAD_URLS')],
  ['etcdserver: member not found', refused('MEMBER_NOT_FOUND')],
  ['etcdserver: can only promote a learner member', refused('MEMBER_NOT_LEARNER')],
  ['etcdserver: can only promote a learner member which is in sync with leader', transient('LEARNER_NOT_READY')],
  ['etcdserver: too many learner members in cluster', refused('TOO_MANY_LEARNERS')],
  ['etcdserver: cluster ID mismatch', refused('CLUSTER_ID_MISMATCH')],
  ['etcdserver: request is too large', refused('REQUEST_TOO_LARGE')],
  ['etcdserver: too many requests', transient('TOO_MANY_REQUESTS')],
  ['etcdserver: root user does not exist', refused('ROOT_USER_NOT_EXIST')],
  ['etcdserver: root user does not have root role', refused('ROOT_ROLE_NOT_EXIST')],
  ['etcdserver: user name already exists', refused('USER_ALREADY_EXISTS')],
  ['etcdserver: user name is empty', refused('USER_EMPTY')],
  ['etcdserver: user name not found', refused('USER_NOT_FOUND')],
  ['etcdserver: role name already exists', refused('ROLE_ALREADY_EXISTS')],
  ['etcdserver: role name not found', refused('ROLE_NOT_FOUND')],
  ['etcdserver: role name is empty', refused('ROLE_EMPTY')],
  ['etcdserver: authentication failed, invalid user ID or password', refused('AUTH_FAILED')],
  ['etcdserver: permission not given', refused('PERMISSION_NOT_GIVEN')],
  ['etcdserver: permission denied', refused('PERMISSION_DENIED')],
  ['etcdserver: role is not granted to the user', refused('ROLE_NOT_GRANTED')],
  ['etcdserver: permission is not granted to the role', refused('PERMISSION_NOT_GRANTED')],
  ['etcdserver: authentication is not enabled', refused('AUTH_NOT_ENABLED')],
  ['etcdserver: invalid auth token', transient('INVALID_AUTH_TOKEN')],
  ['etcdserver: invalid auth management', refused('INVALID_AUTH_MANAGEMENT')],
  ['etcdserver: revision of auth store is old', transient('AUTH_OLD_REVISION')],
  ['etcdserver: no leader', transient('NO_LEADER')],
  ['etcdserver: not leader', transient('NOT_LEADER')],
  ['etcdserver: leader changed', interrupted('LEADER_CHANGED')],
  ['etcdserver: not capable', refused('NOT_CAPABLE')],
  ['etcdserver: server stopped', interrupted('SERVER_STOPPED')],
  ['etcdserver: request timed out', interrupted('SERVER_TIMEOUT')],
  [
    'etcdserver: request timed out, possibly due to previous leader failure',
    interrupted('SERVER_TIMEOUT_LEADER_FAILED'),
  ],
  ['etcdserver: request timed out, possibly due to connection lost', interrupted('SERVER_TIMEOUT_CONNECTION_LOST')],
  [
    'etcdserver: request timed out, waiting for the applied index took too long',
    interrupted('SERVER_TIMEOUT_APPLY_WAIT'),
  ],
  ['etcdserver: unhealthy cluster', transient('UNHEALTHY')],
  ['etcdserver: corrupt cluster', refused('CORRUPT')],
  ['etcdserver: rpc not supported for learner', transient('NOT_SUPPORTED_FOR_LEARNER')],
  ['etcdserver: bad leader transferee', refused('BAD_LEADER_TRANSFEREE')],
  ['etcdserver: wrong downgrade target version format', refused('WRONG_DOWNGRADE_VERSION')],
  ['etcdserver: invalid downgrade target version', refused('INVALID_DOWNGRADE_TARGET')],
  ['etcdserver: cluster version not found during downgrade', transient('CLUSTER_VERSION_UNAVAILABLE')],
  ['etcdserver: cluster has a downgrade job in progress', refused('DOWNGRADE_IN_PROCESS')],
  ['etcdserver: no inflight downgrade job', refused('NO_INFLIGHT_DOWNGRADE')],
  ['etcdserver: request canceled', interrupted('SERVER_CANCELED')],
  ['etcdserver: context deadline exceeded', uncertain('SERVER_DEADLINE_EXCEEDED')],
  // Messages that are not in etcd's table of errors: those of raft, older releases, the proxy, the lock and election services,
  // the reasons for the end of a watch, and those of the auth store, which some releases and calls pass through.
  ['raft proposal dropped', transient('PROPOSAL_DROPPED')],
  ['raft: stopped', interrupted('SERVER_STOPPED')],
  ['etcdserver: request cancelled', interrupted('SERVER_CANCELED')],
  ['etcdserver: request timed out, leader transfer took too long', interrupted('SERVER_TIMEOUT')],
  ['etcdserver: unknown method', refused('UNIMPLEMENTED')],
  ['not implemented', refused('UNIMPLEMENTED')],
  ['not a primary lessor', transient('NO_LEADER')],
  ['mvcc: required revision has been compacted', refused('COMPACTED')],
  ['mvcc: required revision is a future revision', refused('FUTURE_REVISION')],
  ['mvcc: duplicate watch ID provided on the WatchStream', refused('UNKNOWN')],
  ['mvcc: watcher range is empty', refused('UNKNOWN')],
  ['election: no leader', refused('ELECTION_NO_LEADER')],
  ['election: not leader', refused('ELECTION_NOT_LEADER')],
  ['mutex: session is expired', refused('SESSION_EXPIRED')],
  ['auth: root user does not exist', refused('ROOT_USER_NOT_EXIST')],
  ['auth: root user does not have root role', refused('ROOT_ROLE_NOT_EXIST')],
  ['auth: user already exists', refused('USER_ALREADY_EXISTS')],
  ['auth: user name is empty', refused('USER_EMPTY')],
  ['auth: user not found', refused('USER_NOT_FOUND')],
  ['auth: role already exists', refused('ROLE_ALREADY_EXISTS')],
  ['auth: role not found', refused('ROLE_NOT_FOUND')],
  ['auth: role name is empty', refused('ROLE_EMPTY')],
  ['auth: authentication failed, invalid user ID or password', refused('AUTH_FAILED')],
  ['auth: authentication failed, password was given for no password user', refused('AUTH_FAILED')],
  ['auth: permission not given', refused('PERMISSION_NOT_GIVEN')],
  ['auth: permission denied', refused('PERMISSION_DENIED')],
  ['auth: role is not granted to the user', refused('ROLE_NOT_GRANTED')],
  ['auth: permission is not granted to the role', refused('PERMISSION_NOT_GRANTED')],
  ['auth: authentication is not enabled', refused('AUTH_NOT_ENABLED')],
  ['auth: invalid auth token', transient('INVALID_AUTH_TOKEN')],
  ['auth: invalid auth management', refused('INVALID_AUTH_MANAGEMENT')],
  ['auth: revision in header is old', transient('AUTH_OLD_REVISION')],
])
