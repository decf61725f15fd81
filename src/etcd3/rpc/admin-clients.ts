import type { CallOptions } from '../call-options.js'
import type * as messages from './admin-messages.js'
import type { ICallable, IResponseStream } from './callable.js'
import { openStream } from './open-stream.js'

/** The Cluster service: its calls as etcd has them. */
export class ClusterClient {
  readonly #client: ICallable<unknown>

  constructor(client: ICallable<unknown>) {
    this.#client = client
  }

  memberAdd(req: messages.IMemberAddRequest, options?: CallOptions): Promise<messages.IMemberAddResponse> {
    return this.#client.exec('Cluster', 'memberAdd', req, options)
  }

  memberRemove(req: messages.IMemberRemoveRequest, options?: CallOptions): Promise<messages.IMemberRemoveResponse> {
    return this.#client.exec('Cluster', 'memberRemove', req, options)
  }

  memberUpdate(req: messages.IMemberUpdateRequest, options?: CallOptions): Promise<messages.IMemberUpdateResponse> {
    return this.#client.exec('Cluster', 'memberUpdate', req, options)
  }

  memberList(req: messages.IMemberListRequest, options?: CallOptions): Promise<messages.IMemberListResponse> {
    return this.#client.exec('Cluster', 'memberList', req, options)
  }

  memberPromote(req: messages.IMemberPromoteRequest, options?: CallOptions): Promise<messages.IMemberPromoteResponse> {
    return this.#client.exec('Cluster', 'memberPromote', req, options)
  }
}

/** The Maintenance service: its calls as etcd has them. */
export class MaintenanceClient {
  readonly #client: ICallable<unknown>

  constructor(client: ICallable<unknown>) {
    this.#client = client
  }

  alarm(req: messages.IAlarmRequest, options?: CallOptions): Promise<messages.IAlarmResponse> {
    return this.#client.exec('Maintenance', 'alarm', req, options)
  }

  status(options?: CallOptions): Promise<messages.IStatusResponse> {
    return this.#client.exec('Maintenance', 'status', {}, options)
  }

  defragment(options?: CallOptions): Promise<messages.IDefragmentResponse> {
    return this.#client.exec('Maintenance', 'defragment', {}, options)
  }

  hash(options?: CallOptions): Promise<messages.IHashResponse> {
    return this.#client.exec('Maintenance', 'hash', {}, options)
  }

  hashKV(req: messages.IHashKVRequest, options?: CallOptions): Promise<messages.IHashKVResponse> {
    return this.#client.exec('Maintenance', 'hashKV', req, options)
  }

  snapshot(options?: CallOptions): Promise<IResponseStream<messages.ISnapshotResponse>> {
    return openStream(this.#client, { service: 'Maintenance', method: 'snapshot', isStream: true }, options)
  }

  moveLeader(req: messages.IMoveLeaderRequest, options?: CallOptions): Promise<messages.IMoveLeaderResponse> {
    return this.#client.exec('Maintenance', 'moveLeader', req, options)
  }

  downgrade(req: messages.IDowngradeRequest, options?: CallOptions): Promise<messages.IDowngradeResponse> {
    return this.#client.exec('Maintenance', 'downgrade', req, options)
  }
}

/** The Auth service: its calls as etcd has them. */
export class AuthClient {
  readonly #client: ICallable<unknown>

  constructor(client: ICallable<unknown>) {
    this.#client = client
  }

  authEnable(options?: CallOptions): Promise<messages.IAuthEnableResponse> {
    return this.#client.exec('Auth', 'authEnable', {}, options)
  }

  authDisable(options?: CallOptions): Promise<messages.IAuthDisableResponse> {
    return this.#client.exec('Auth', 'authDisable', {}, options)
  }

  authStatus(options?: CallOptions): Promise<messages.IAuthStatusResponse> {
    return this.#client.exec('Auth', 'authStatus', {}, options)
  }

  authenticate(req: messages.IAuthenticateRequest, options?: CallOptions): Promise<messages.IAuthenticateResponse> {
    return this.#client.exec('Auth', 'authenticate', req, options)
  }

  userAdd(req: messages.IAuthUserAddRequest, options?: CallOptions): Promise<messages.IAuthUserAddResponse> {
    return this.#client.exec('Auth', 'userAdd', req, options)
  }

  userGet(req: messages.IAuthUserGetRequest, options?: CallOptions): Promise<messages.IAuthUserGetResponse> {
    return this.#client.exec('Auth', 'userGet', req, options)
  }

  userList(options?: CallOptions): Promise<messages.IAuthUserListResponse> {
    return this.#client.exec('Auth', 'userList', {}, options)
  }

  userDelete(req: messages.IAuthUserDeleteRequest, options?: CallOptions): Promise<messages.IAuthUserDeleteResponse> {
    return this.#client.exec('Auth', 'userDelete', req, options)
  }

  userChangePassword(
    req: messages.IAuthUserChangePasswordRequest,
    options?: CallOptions,
  ): Promise<messages.IAuthUserChangePasswordResponse> {
    return this.#client.exec('Auth', 'userChangePassword', req, options)
  }

  userGrantRole(
    req: messages.IAuthUserGrantRoleRequest,
    options?: CallOptions,
  ): Promise<messages.IAuthUserGrantRoleResponse> {
    return this.#client.exec('Auth', 'userGrantRole', req, options)
  }

  userRevokeRole(
    req: messages.IAuthUserRevokeRoleRequest,
    options?: CallOptions,
  ): Promise<messages.IAuthUserRevokeRoleResponse> {
    return this.#client.exec('Auth', 'userRevokeRole', req, options)
  }

  roleAdd(req: messages.IAuthRoleAddRequest, options?: CallOptions): Promise<messages.IAuthRoleAddResponse> {
    return this.#client.exec('Auth', 'roleAdd', req, options)
  }

  roleGet(req: messages.IAuthRoleGetRequest, options?: CallOptions): Promise<messages.IAuthRoleGetResponse> {
    return this.#client.exec('Auth', 'roleGet', req, options)
  }

  roleList(options?: CallOptions): Promise<messages.IAuthRoleListResponse> {
    return this.#client.exec('Auth', 'roleList', {}, options)
  }

  roleDelete(req: messages.IAuthRoleDeleteRequest, options?: CallOptions): Promise<messages.IAuthRoleDeleteResponse> {
    return this.#client.exec('Auth', 'roleDelete', req, options)
  }

  roleGrantPermission(
    req: messages.IAuthRoleGrantPermissionRequest,
    options?: CallOptions,
  ): Promise<messages.IAuthRoleGrantPermissionResponse> {
    return this.#client.exec('Auth', 'roleGrantPermission', req, options)
  }

  roleRevokePermission(
    req: messages.IAuthRoleRevokePermissionRequest,
    options?: CallOptions,
  ): Promise<messages.IAuthRoleRevokePermissionResponse> {
    return this.#client.exec('Auth', 'roleRevokePermission', req, options)
  }
}
