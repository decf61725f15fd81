import type { ErrorCode } from '../index.js'

/** What the user can do about an error. */
export const hints: Readonly<Partial<Record<ErrorCode, string>>> = {
  NOT_CONNECTED: 'check --endpoints (or ETCDCTL_ENDPOINTS), and for https members --cacert, --cert and --key',
  CONNECTION_LOST: 'the connection to the member was lost: `etcdkit doctor` shows which members answer',
  DEADLINE_EXCEEDED: 'raise --command-timeout, or check the members with `etcdkit doctor`',
  UNIMPLEMENTED: 'the member runs an older etcd, or a proxy does not forward this call',
  NO_SPACE: 'compact, defragment, then `etcdkit alarm disarm`; `etcdkit doctor` shows what uses the space',
  CORRUPT: 'a member’s data differs from the others’: replace that member, then `etcdkit alarm disarm`',
  TOO_MANY_REQUESTS: 'the members cannot keep up with the writes: reduce the write rate',
  REQUEST_TOO_LARGE: 'etcd is designed for values of a few kilobytes: store large values elsewhere',
  COMPACTED: 'the history before this revision was compacted: use a newer revision',
  FUTURE_REVISION: 'the revision does not exist yet: `etcdkit status` shows the current one',
  NO_LEADER: 'a majority of the members must run: `etcdkit doctor` shows which ones do not',
  SERVER_TIMEOUT: 'the members did not reach agreement in time: `etcdkit doctor` shows which ones do not answer',
  SERVER_TIMEOUT_LEADER_FAILED: 'the leader failed: try again',
  SERVER_TIMEOUT_CONNECTION_LOST:
    'the member lost its connection to the others: `etcdkit doctor` shows which ones do not answer',
  USER_EMPTY: 'authentication is enabled: use --user, or a client certificate with --cert and --key',
  AUTH_FAILED: 'wrong user or password: check --user and --password',
  AUTH_NOT_ENABLED: 'authentication is disabled: omit --user',
  INVALID_AUTH_TOKEN: 'the token has expired or belongs to another cluster: log in with --user',
  PERMISSION_DENIED: 'the user needs a role with this permission',
  LEASE_NOT_FOUND: 'the lease has expired or was revoked',
  NOT_SUPPORTED_FOR_LEARNER: 'learners serve serializable reads only: use --consistency=s, or another endpoint',
  LEADER_LOST: 'a new leader was elected during the call: check whether the write was applied before repeating it',
  CLUSTER_CHANGED: 'the endpoints belong to different clusters',
  RANGE_TOO_LARGE: 'read it with `etcdkit list`, or set --limit',
  DECODE_FAILED: 'the bytes are not UTF-8: use --output json, which encodes them in base64',
}
