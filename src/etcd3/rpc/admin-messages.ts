import type { AlarmAction, AlarmType, DowngradeAction, Permission } from './enums.js'
import type { IResponseHeader } from './kv-messages.js'

// Requests and responses of the cluster, its maintenance and its users, as etcd3 has them.

export type IHashRequest = object

export interface IHashKVRequest {
  revision?: string | number | undefined
}

export interface IHashKVResponse {
  header: IResponseHeader
  hash: string
  compact_revision: string
}

export interface IHashResponse {
  header: IResponseHeader
  hash: string
}

export type ISnapshotRequest = object

export interface ISnapshotResponse {
  header: IResponseHeader
  remaining_bytes: string
  blob: Buffer
}

export interface IMember {
  ID: string
  name: string
  peerURLs: string[]
  clientURLs: string[]
  isLearner: boolean
}

export interface IMemberAddRequest {
  peerURLs?: string[] | undefined
  isLearner?: boolean | undefined
}

export interface IMemberAddResponse {
  header: IResponseHeader
  member: IMember
  members: IMember[]
}

export interface IMemberRemoveRequest {
  ID?: string | number | undefined
}

export interface IMemberRemoveResponse {
  header: IResponseHeader
  members: IMember[]
}

export interface IMemberUpdateRequest {
  ID?: string | number | undefined
  peerURLs?: string[] | undefined
}

export interface IMemberUpdateResponse {
  header: IResponseHeader
  members: IMember[]
}

export interface IMemberListRequest {
  linearizable?: boolean | undefined
}

export interface IMemberListResponse {
  header: IResponseHeader
  members: IMember[]
}

export interface IMemberPromoteRequest {
  ID?: string | number | undefined
}

export interface IMemberPromoteResponse {
  header: IResponseHeader
  members: IMember[]
}

export type IDefragmentRequest = object

export interface IDefragmentResponse {
  header: IResponseHeader
}

export interface IMoveLeaderRequest {
  targetID?: string | number | undefined
}

export interface IMoveLeaderResponse {
  header: IResponseHeader
}

export interface IAlarmRequest {
  action?: AlarmAction | keyof typeof AlarmAction | undefined
  memberID?: string | number | undefined
  alarm?: AlarmType | keyof typeof AlarmType | undefined
}

export interface IAlarmMember {
  memberID: string
  alarm: keyof typeof AlarmType
}

export interface IAlarmResponse {
  header: IResponseHeader
  alarms: IAlarmMember[]
}

export interface IDowngradeRequest {
  action?: DowngradeAction | keyof typeof DowngradeAction | undefined
  version?: string | undefined
}

export interface IDowngradeResponse {
  header: IResponseHeader
  version: string
}

export type IStatusRequest = object

export interface IStatusResponse {
  header: IResponseHeader
  version: string
  dbSize: string
  leader: string
  raftIndex: string
  raftTerm: string
  raftAppliedIndex: string
  errors: string[]
  dbSizeInUse: string
  isLearner: boolean
}

export type IAuthEnableRequest = object

export type IAuthDisableRequest = object

export type IAuthStatusRequest = object

export interface IAuthenticateRequest {
  name?: string | undefined
  password?: string | undefined
}

export interface IAuthUserAddRequest {
  name?: string | undefined
  password?: string | undefined
  options?: IUserAddOptions | undefined
}

export interface IAuthUserGetRequest {
  name?: string | undefined
}

export interface IAuthUserDeleteRequest {
  name?: string | undefined
}

export interface IAuthUserChangePasswordRequest {
  name?: string | undefined
  password?: string | undefined
}

export interface IAuthUserGrantRoleRequest {
  user?: string | undefined
  role?: string | undefined
}

export interface IAuthUserRevokeRoleRequest {
  name?: string | undefined
  role?: string | undefined
}

export interface IAuthRoleAddRequest {
  name?: string | undefined
}

export interface IAuthRoleGetRequest {
  role?: string | undefined
}

export type IAuthUserListRequest = object

export type IAuthRoleListRequest = object

export interface IAuthRoleDeleteRequest {
  role?: string | undefined
}

export interface IAuthRoleGrantPermissionRequest {
  name?: string | undefined
  perm?: IPermission | undefined
}

export interface IAuthRoleRevokePermissionRequest {
  role?: string | undefined
  key?: Buffer | undefined
  range_end?: Buffer | undefined
}

export interface IAuthEnableResponse {
  header: IResponseHeader
}

export interface IAuthDisableResponse {
  header: IResponseHeader
}

export interface IAuthStatusResponse {
  header: IResponseHeader
  enabled: boolean
  authRevision: string
}

export interface IAuthenticateResponse {
  header: IResponseHeader
  token: string
}

export interface IAuthUserAddResponse {
  header: IResponseHeader
}

export interface IAuthUserGetResponse {
  header: IResponseHeader
  roles: string[]
}

export interface IAuthUserDeleteResponse {
  header: IResponseHeader
}

export interface IAuthUserChangePasswordResponse {
  header: IResponseHeader
}

export interface IAuthUserGrantRoleResponse {
  header: IResponseHeader
}

export interface IAuthUserRevokeRoleResponse {
  header: IResponseHeader
}

export interface IAuthRoleAddResponse {
  header: IResponseHeader
}

export interface IAuthRoleGetResponse {
  header: IResponseHeader
  perm: IPermission[]
}

export interface IAuthRoleListResponse {
  header: IResponseHeader
  roles: string[]
}

export interface IAuthUserListResponse {
  header: IResponseHeader
  users: string[]
}

export interface IAuthRoleDeleteResponse {
  header: IResponseHeader
}

export interface IAuthRoleGrantPermissionResponse {
  header: IResponseHeader
}

export interface IAuthRoleRevokePermissionResponse {
  header: IResponseHeader
}

export interface IUserAddOptions {
  no_password?: boolean | undefined
}

export interface IUser {
  name?: Buffer | undefined
  password?: Buffer | undefined
  roles?: string[] | undefined
  options?: IUserAddOptions | undefined
}

export interface IPermission {
  permType: keyof typeof Permission
  key: Buffer
  range_end: Buffer
}

export interface IRole {
  name?: Buffer | undefined
  keyPermission?: IPermission[] | undefined
}
