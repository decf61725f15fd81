import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { CompactedError, type Effect, type ErrorCode } from '../../src/core/errors.js'
import { toEtcdError } from '../../src/transport/grpc-status.js'
import { serverErrors } from '../../src/transport/server-errors.js'

type Row = readonly [grpcCode: number, text: string, code: ErrorCode, effect: Effect, retryable: boolean]

/** The errors of etcd's `rpctypes`, with their gRPC code in the newest release. */
const rpctypes: readonly Row[] = [
  [3, 'etcdserver: key is not provided', 'EMPTY_KEY', 'none', false],
  [3, 'etcdserver: key not found', 'KEY_NOT_FOUND', 'none', false],
  [3, 'etcdserver: value is provided', 'VALUE_PROVIDED', 'none', false],
  [3, 'etcdserver: lease is provided', 'LEASE_PROVIDED', 'none', false],
  [3, 'etcdserver: too many operations in txn request', 'TOO_MANY_OPS', 'none', false],
  [3, 'etcdserver: duplicate key given in txn request', 'DUPLICATE_KEY', 'none', false],
  [3, 'etcdserver: invalid client api version', 'INVALID_CLIENT_API_VERSION', 'none', false],
  [3, 'etcdserver: invalid sort option', 'INVALID_SORT_OPTION', 'none', false],
  [11, 'etcdserver: mvcc: required revision has been compacted', 'COMPACTED', 'none', false],
  [11, 'etcdserver: mvcc: required revision is a future revision', 'FUTURE_REVISION', 'none', false],
  [8, 'etcdserver: mvcc: database space exceeded', 'NO_SPACE', 'unknown', false],
  [5, 'etcdserver: requested lease not found', 'LEASE_NOT_FOUND', 'none', false],
  [9, 'etcdserver: lease already exists', 'LEASE_EXISTS', 'none', false],
  [11, 'etcdserver: too large lease TTL', 'LEASE_TTL_TOO_LARGE', 'none', false],
  [1, 'etcdserver: watch canceled', 'WATCH_CANCELED', 'unknown', true],
  [9, 'etcdserver: member ID already exist', 'MEMBER_EXISTS', 'none', false],
  [9, 'etcdserver: Peer URLs already exists', 'PEER_URL_EXISTS', 'none', false],
  [
    9,
    'etcdserver: re-configuration failed due to not enough started members',
    'MEMBER_NOT_ENOUGH_STARTED',
    'none',
    true,
  ],
  [3, 'etcdserver: given member URLs are invalid', 'MEMBER_BAD_URLS', 'none', false],
  [5, 'etcdserver: member not found', 'MEMBER_NOT_FOUND', 'none', false],
  [9, 'etcdserver: can only promote a learner member', 'MEMBER_NOT_LEARNER', 'none', false],
  [9, 'etcdserver: can only promote a learner member which is in sync with leader', 'LEARNER_NOT_READY', 'none', true],
  [9, 'etcdserver: too many learner members in cluster', 'TOO_MANY_LEARNERS', 'none', false],
  [9, 'etcdserver: cluster ID mismatch', 'CLUSTER_ID_MISMATCH', 'none', false],
  [3, 'etcdserver: request is too large', 'REQUEST_TOO_LARGE', 'none', false],
  [8, 'etcdserver: too many requests', 'TOO_MANY_REQUESTS', 'none', true],
  [9, 'etcdserver: root user does not exist', 'ROOT_USER_NOT_EXIST', 'none', false],
  [9, 'etcdserver: root user does not have root role', 'ROOT_ROLE_NOT_EXIST', 'none', false],
  [9, 'etcdserver: user name already exists', 'USER_ALREADY_EXISTS', 'none', false],
  [3, 'etcdserver: user name is empty', 'USER_EMPTY', 'none', false],
  [9, 'etcdserver: user name not found', 'USER_NOT_FOUND', 'none', false],
  [9, 'etcdserver: role name already exists', 'ROLE_ALREADY_EXISTS', 'none', false],
  [9, 'etcdserver: role name not found', 'ROLE_NOT_FOUND', 'none', false],
  [3, 'etcdserver: role name is empty', 'ROLE_EMPTY', 'none', false],
  [3, 'etcdserver: authentication failed, invalid user ID or password', 'AUTH_FAILED', 'none', false],
  [3, 'etcdserver: permission not given', 'PERMISSION_NOT_GIVEN', 'none', false],
  [7, 'etcdserver: permission denied', 'PERMISSION_DENIED', 'none', false],
  [9, 'etcdserver: role is not granted to the user', 'ROLE_NOT_GRANTED', 'none', false],
  [9, 'etcdserver: permission is not granted to the role', 'PERMISSION_NOT_GRANTED', 'none', false],
  [9, 'etcdserver: authentication is not enabled', 'AUTH_NOT_ENABLED', 'none', false],
  [16, 'etcdserver: invalid auth token', 'INVALID_AUTH_TOKEN', 'none', true],
  [3, 'etcdserver: invalid auth management', 'INVALID_AUTH_MANAGEMENT', 'none', false],
  [3, 'etcdserver: revision of auth store is old', 'AUTH_OLD_REVISION', 'none', true],
  [14, 'etcdserver: no leader', 'NO_LEADER', 'none', true],
  [9, 'etcdserver: not leader', 'NOT_LEADER', 'none', true],
  [14, 'etcdserver: leader changed', 'LEADER_CHANGED', 'unknown', true],
  [9, 'etcdserver: not capable', 'NOT_CAPABLE', 'none', false],
  [14, 'etcdserver: server stopped', 'SERVER_STOPPED', 'unknown', true],
  [14, 'etcdserver: request timed out', 'SERVER_TIMEOUT', 'unknown', true],
  [
    14,
    'etcdserver: request timed out, possibly due to previous leader failure',
    'SERVER_TIMEOUT_LEADER_FAILED',
    'unknown',
    true,
  ],
  [
    14,
    'etcdserver: request timed out, possibly due to connection lost',
    'SERVER_TIMEOUT_CONNECTION_LOST',
    'unknown',
    true,
  ],
  [
    14,
    'etcdserver: request timed out, waiting for the applied index took too long',
    'SERVER_TIMEOUT_APPLY_WAIT',
    'unknown',
    true,
  ],
  [14, 'etcdserver: unhealthy cluster', 'UNHEALTHY', 'none', true],
  [15, 'etcdserver: corrupt cluster', 'CORRUPT', 'none', false],
  [9, 'etcdserver: rpc not supported for learner', 'NOT_SUPPORTED_FOR_LEARNER', 'none', true],
  [9, 'etcdserver: bad leader transferee', 'BAD_LEADER_TRANSFEREE', 'none', false],
  [3, 'etcdserver: wrong downgrade target version format', 'WRONG_DOWNGRADE_VERSION', 'none', false],
  [3, 'etcdserver: invalid downgrade target version', 'INVALID_DOWNGRADE_TARGET', 'none', false],
  [9, 'etcdserver: cluster version not found during downgrade', 'CLUSTER_VERSION_UNAVAILABLE', 'none', true],
  [9, 'etcdserver: cluster has a downgrade job in progress', 'DOWNGRADE_IN_PROCESS', 'none', false],
  [9, 'etcdserver: no inflight downgrade job', 'NO_INFLIGHT_DOWNGRADE', 'none', false],
  [1, 'etcdserver: request canceled', 'SERVER_CANCELED', 'unknown', true],
  [4, 'etcdserver: context deadline exceeded', 'SERVER_DEADLINE_EXCEEDED', 'unknown', false],
]

/** Other messages of members and proxies, sent as Unknown or as the reason for the end of a watch. */
const others: readonly Row[] = [
  [2, 'raft proposal dropped', 'PROPOSAL_DROPPED', 'none', true],
  [2, 'raft: stopped', 'SERVER_STOPPED', 'unknown', true],
  [2, 'etcdserver: request cancelled', 'SERVER_CANCELED', 'unknown', true],
  [2, 'etcdserver: request timed out, leader transfer took too long', 'SERVER_TIMEOUT', 'unknown', true],
  [2, 'etcdserver: unknown method', 'UNIMPLEMENTED', 'none', false],
  [2, 'not implemented', 'UNIMPLEMENTED', 'none', false],
  [2, 'not a primary lessor', 'NO_LEADER', 'none', true],
  [2, 'election: no leader', 'ELECTION_NO_LEADER', 'none', false],
  [2, 'election: not leader', 'ELECTION_NOT_LEADER', 'none', false],
  [2, 'mutex: session is expired', 'SESSION_EXPIRED', 'none', false],
  [2, 'mvcc: required revision has been compacted', 'COMPACTED', 'none', false],
  [2, 'mvcc: required revision is a future revision', 'FUTURE_REVISION', 'none', false],
  [2, 'mvcc: duplicate watch ID provided on the WatchStream', 'UNKNOWN', 'none', false],
  [2, 'mvcc: watcher range is empty', 'UNKNOWN', 'none', false],
  [2, 'auth: root user does not exist', 'ROOT_USER_NOT_EXIST', 'none', false],
  [2, 'auth: root user does not have root role', 'ROOT_ROLE_NOT_EXIST', 'none', false],
  [2, 'auth: user already exists', 'USER_ALREADY_EXISTS', 'none', false],
  [2, 'auth: user name is empty', 'USER_EMPTY', 'none', false],
  [2, 'auth: user not found', 'USER_NOT_FOUND', 'none', false],
  [2, 'auth: role already exists', 'ROLE_ALREADY_EXISTS', 'none', false],
  [2, 'auth: role not found', 'ROLE_NOT_FOUND', 'none', false],
  [2, 'auth: role name is empty', 'ROLE_EMPTY', 'none', false],
  [2, 'auth: authentication failed, invalid user ID or password', 'AUTH_FAILED', 'none', false],
  [2, 'auth: authentication failed, password was given for no password user', 'AUTH_FAILED', 'none', false],
  [2, 'auth: permission not given', 'PERMISSION_NOT_GIVEN', 'none', false],
  [2, 'auth: permission denied', 'PERMISSION_DENIED', 'none', false],
  [2, 'auth: role is not granted to the user', 'ROLE_NOT_GRANTED', 'none', false],
  [2, 'auth: permission is not granted to the role', 'PERMISSION_NOT_GRANTED', 'none', false],
  [2, 'auth: authentication is not enabled', 'AUTH_NOT_ENABLED', 'none', false],
  [2, 'auth: invalid auth token', 'INVALID_AUTH_TOKEN', 'none', true],
  [2, 'auth: invalid auth management', 'INVALID_AUTH_MANAGEMENT', 'none', false],
  [2, 'auth: revision in header is old', 'AUTH_OLD_REVISION', 'none', true],
]

const all = [...rpctypes, ...others]

const context = {
  method: 'KV.Put',
  endpoint: 'http://127.0.0.1:2379',
  sent: true,
  deadlineAt: Number.POSITIVE_INFINITY,
  now: 0,
}

describe('The errors of etcd', () => {
  test('are all in these tables', () => {
    assert.equal(rpctypes.length, 63)
    assert.deepEqual(all.map(([, text]) => text).sort(), [...serverErrors.keys()].sort())
  })

  test('are recognized by their message, with any gRPC code', () => {
    for (const [grpcCode, text, code, effect] of all) {
      for (const wireCode of [grpcCode, 2, 9, 14]) {
        const error = toEtcdError({ code: wireCode, details: text }, context)
        const { code: found, effect: effectFound, rawMessage, method, endpoint } = error
        const expected = { code, effect, rawMessage: text, method: 'KV.Put', endpoint: 'http://127.0.0.1:2379' }
        assert.deepEqual({ code: found, effect: effectFound, rawMessage, method, endpoint }, expected)
        assert.equal(error.grpcCode, wireCode)
        assert.equal(error instanceof CompactedError, code === 'COMPACTED')
      }
    }
  })

  test('are recognized within the renderings of Go', () => {
    for (const [, text, code, effect] of all) {
      const once = `rpc error: code = InvalidArgument desc = ${text}`
      for (const details of [once, `rpc error: code = Unknown desc = ${once}`]) {
        const error = toEtcdError({ code: 2, details }, context)
        assert.deepEqual([error.code, error.effect, error.rawMessage], [code, effect, text])
      }
    }
  })

  test('have the effect `none` if the call was not sent', () => {
    for (const [grpcCode, details] of all) {
      assert.equal(toEtcdError({ code: grpcCode, details }, { ...context, sent: false }).effect, 'none', details)
    }
  })

  test('are retryable if the call may succeed elsewhere or later', () => {
    for (const [grpcCode, text, , , retryable] of all) {
      assert.equal(toEtcdError({ code: grpcCode, details: text }, context).retryable, retryable, text)
    }
  })

  test('are matched as a whole', () => {
    const error = toEtcdError({ code: 3, details: 'etcdserver: key is not provided, really' }, context)
    assert.deepEqual([error.code, error.effect, error.grpcCode], ['UNKNOWN', 'unknown', 3])
  })
})
