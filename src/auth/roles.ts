import { EtcdError } from '../core/errors.js'
import { encodeRange, type KeyRange } from '../core/key-range.js'
import { oneOf } from '../core/validate.js'
import { methods } from '../protobuf/methods.js'
import { checkCall } from '../transport/call-options.js'
import type { CallOptions } from '../transport/transport.js'
import { type AuthCall, someName } from './auth-call.js'

/** What a permission allows. */
export type PermissionType = 'read' | 'write' | 'readwrite'

/** A permission on a range of keys, as stored by etcd. */
export interface Permission {
  readonly type: PermissionType
  readonly key: Buffer
  /** Exclusive end of the range. Empty for the single key; one zero byte for all keys from `key` on. */
  readonly rangeEnd: Buffer
}

/** A role and its permissions. */
export interface Role {
  readonly name: string
  readonly permissions: readonly Permission[]
}

const wireTypes = { read: 'READ', write: 'WRITE', readwrite: 'READWRITE' } as const
const types = { READ: 'read', WRITE: 'write', READWRITE: 'readwrite' } as const

/** The roles of a cluster; method names match `etcdctl role`. */
export class Roles {
  readonly #call: AuthCall

  constructor(call: AuthCall) {
    this.#call = call
  }

  /**
   * Adds a role without permissions.
   *
   * @throws `ROLE_ALREADY_EXISTS`.
   */
  async add(name: string, options?: CallOptions): Promise<void> {
    checkCall('auth.roles.add()', options)
    await this.#call(methods.Auth.RoleAdd, { name: someName('name', name) }, options)
  }

  /**
   * Returns a role and its permissions.
   *
   * @throws `ROLE_NOT_FOUND`.
   */
  async get(name: string, options?: CallOptions): Promise<Role> {
    checkCall('auth.roles.get()', options)
    const { perm } = await this.#call(methods.Auth.RoleGet, { role: someName('name', name) }, options)
    return { name, permissions: perm.map(({ permType, key, rangeEnd }) => ({ type: types[permType], key, rangeEnd })) }
  }

  /** Lists the names of all roles. */
  async list(options?: CallOptions): Promise<readonly string[]> {
    checkCall('auth.roles.list()', options)
    const { roles } = await this.#call(methods.Auth.RoleList, {}, options)
    return roles
  }

  /**
   * Removes a role, and revokes it from all users.
   *
   * @throws `ROLE_NOT_FOUND`.
   */
  async remove(name: string, options?: CallOptions): Promise<void> {
    checkCall('auth.roles.remove()', options)
    await this.#call(methods.Auth.RoleDelete, { role: someName('name', name) }, options)
  }

  /**
   * Grants a role the permission to read, write, or both, on a range of keys.
   *
   * @param range A key, `{ prefix }`, or `{ from, to }`.
   * @throws `ROLE_NOT_FOUND`.
   */
  async grant(name: string, type: PermissionType, range: KeyRange, options?: CallOptions): Promise<void> {
    checkCall('auth.roles.grant()', options)
    const permType = wireTypes[oneOf('type', type, ['read', 'write', 'readwrite'])]
    const request = { name: someName('name', name), perm: { permType, ...permissionRange(range) } }
    await this.#call(methods.Auth.RoleGrantPermission, request, options)
  }

  /**
   * Revokes the permission that was granted on exactly this range.
   *
   * @throws `PERMISSION_NOT_GRANTED` if the role has no such permission, `ROLE_NOT_FOUND`.
   */
  async revoke(name: string, range: KeyRange, options?: CallOptions): Promise<void> {
    checkCall('auth.roles.revoke()', options)
    const request = { role: someName('name', name), ...permissionRange(range) }
    await this.#call(methods.Auth.RoleRevokePermission, request, options)
  }
}

function permissionRange(range: KeyRange): { key: Buffer; rangeEnd: Buffer } {
  const { key, rangeEnd } = encodeRange(range)
  if (key.length === 0) throw new EtcdError('key is not provided', { code: 'EMPTY_KEY', effect: 'none' })
  return { key, rangeEnd }
}
