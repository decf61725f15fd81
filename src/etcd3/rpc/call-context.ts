import type * as admin from './admin-messages.js'
import type * as kv from './kv-messages.js'

/** The name of a service of etcd. */
export type ServiceName = CallContext['service']

interface Unary<Service, Method, Params> {
  service: Service
  method: Method
  isStream: false
  params: Params
}

interface WithoutParams<Service, Method> {
  service: Service
  method: Method
  isStream: false
}

interface Streaming<Service, Method> {
  service: Service
  method: Method
  isStream: true
}

/** A call for which `defaultCallOptions` is asked. */
export type CallContext =
  | Unary<'KV', 'range', kv.IRangeRequest>
  | Unary<'KV', 'put', kv.IPutRequest>
  | Unary<'KV', 'deleteRange', kv.IDeleteRangeRequest>
  | Unary<'KV', 'txn', kv.ITxnRequest>
  | Unary<'KV', 'compact', kv.ICompactionRequest>
  | Streaming<'Watch', 'watch'>
  | Unary<'Lease', 'leaseGrant', kv.ILeaseGrantRequest>
  | Unary<'Lease', 'leaseRevoke', kv.ILeaseRevokeRequest>
  | Streaming<'Lease', 'leaseKeepAlive'>
  | Unary<'Lease', 'leaseTimeToLive', kv.ILeaseTimeToLiveRequest>
  | WithoutParams<'Lease', 'leaseLeases'>
  | Unary<'Cluster', 'memberAdd', admin.IMemberAddRequest>
  | Unary<'Cluster', 'memberRemove', admin.IMemberRemoveRequest>
  | Unary<'Cluster', 'memberUpdate', admin.IMemberUpdateRequest>
  | Unary<'Cluster', 'memberList', admin.IMemberListRequest>
  | Unary<'Cluster', 'memberPromote', admin.IMemberPromoteRequest>
  | Unary<'Maintenance', 'alarm', admin.IAlarmRequest>
  | WithoutParams<'Maintenance', 'status'>
  | WithoutParams<'Maintenance', 'defragment'>
  | WithoutParams<'Maintenance', 'hash'>
  | Unary<'Maintenance', 'hashKV', admin.IHashKVRequest>
  | Streaming<'Maintenance', 'snapshot'>
  | Unary<'Maintenance', 'moveLeader', admin.IMoveLeaderRequest>
  | Unary<'Maintenance', 'downgrade', admin.IDowngradeRequest>
  | WithoutParams<'Auth', 'authEnable'>
  | WithoutParams<'Auth', 'authDisable'>
  | WithoutParams<'Auth', 'authStatus'>
  | Unary<'Auth', 'authenticate', admin.IAuthenticateRequest>
  | Unary<'Auth', 'userAdd', admin.IAuthUserAddRequest>
  | Unary<'Auth', 'userGet', admin.IAuthUserGetRequest>
  | WithoutParams<'Auth', 'userList'>
  | Unary<'Auth', 'userDelete', admin.IAuthUserDeleteRequest>
  | Unary<'Auth', 'userChangePassword', admin.IAuthUserChangePasswordRequest>
  | Unary<'Auth', 'userGrantRole', admin.IAuthUserGrantRoleRequest>
  | Unary<'Auth', 'userRevokeRole', admin.IAuthUserRevokeRoleRequest>
  | Unary<'Auth', 'roleAdd', admin.IAuthRoleAddRequest>
  | Unary<'Auth', 'roleGet', admin.IAuthRoleGetRequest>
  | WithoutParams<'Auth', 'roleList'>
  | Unary<'Auth', 'roleDelete', admin.IAuthRoleDeleteRequest>
  | Unary<'Auth', 'roleGrantPermission', admin.IAuthRoleGrantPermissionRequest>
  | Unary<'Auth', 'roleRevokePermission', admin.IAuthRoleRevokePermissionRequest>
