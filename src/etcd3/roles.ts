import { assertOptions } from '../core/validate.js'
import type { CallOptions } from './call-options.js'
import { Range } from './range.js'
import type { AuthClient } from './rpc/admin-clients.js'
import type { Permission } from './rpc/enums.js'
import { nameText } from './validate.js'

/** A right on a key, or on a range of keys. */
export type IPermissionRequest =
  | { permission: keyof typeof Permission; range: Range }
  | { permission: keyof typeof Permission; key: Buffer | string }

/** A right on a range of keys. */
export interface IPermissionResult {
  permission: keyof typeof Permission
  range: Range
}

/** A role, by its name. */
export class Role {
  readonly #client: AuthClient
  readonly name: string

  constructor(client: AuthClient, name: string) {
    this.#client = client
    this.name = nameText('name', name)
  }

  /** Creates it. */
  async create(options?: CallOptions): Promise<this> {
    await this.#client.roleAdd({ name: this.name }, options)
    return this
  }

  /** Deletes it. */
  async delete(options?: CallOptions): Promise<this> {
    await this.#client.roleDelete({ role: this.name }, options)
    return this
  }

  /** Takes rights away from it. */
  async revoke(req: IPermissionRequest | IPermissionRequest[], options?: CallOptions): Promise<this> {
    for (const permission of [req].flat()) {
      const { start, end } = rangeOf(permission)
      await this.#client.roleRevokePermission({ role: this.name, key: start, range_end: end }, options)
    }
    return this
  }

  /** Gives rights to it. */
  async grant(req: IPermissionRequest | IPermissionRequest[], options?: CallOptions): Promise<this> {
    for (const permission of [req].flat()) {
      const { start, end } = rangeOf(permission)
      const perm = { permType: permission.permission, key: start, range_end: end }
      await this.#client.roleGrantPermission({ name: this.name, perm }, options)
    }
    return this
  }

  /** The rights that it has. */
  async permissions(options?: CallOptions): Promise<IPermissionResult[]> {
    const { perm } = await this.#client.roleGet({ role: this.name }, options)
    return perm.map(({ permType, key, range_end }) => ({ permission: permType, range: new Range(key, range_end) }))
  }

  /** Gives it to a user. */
  async addUser(user: string | User, options?: CallOptions): Promise<this> {
    await this.#client.userGrantRole({ user: nameOf(user), role: this.name }, options)
    return this
  }

  /** Takes it away from a user. */
  async removeUser(user: string | User, options?: CallOptions): Promise<this> {
    await this.#client.userRevokeRole({ name: nameOf(user), role: this.name }, options)
    return this
  }
}

/** A user, by its name. */
export class User {
  readonly #client: AuthClient
  readonly name: string

  constructor(client: AuthClient, name: string) {
    this.#client = client
    this.name = nameText('name', name)
  }

  /** Creates it. */
  async create(password: string, options?: CallOptions): Promise<this> {
    await this.#client.userAdd({ name: this.name, password }, options)
    return this
  }

  /** Changes its password. */
  async setPassword(password: string, options?: CallOptions): Promise<this> {
    await this.#client.userChangePassword({ name: this.name, password }, options)
    return this
  }

  /** Deletes it. */
  async delete(options?: CallOptions): Promise<this> {
    await this.#client.userDelete({ name: this.name }, options)
    return this
  }

  /** The roles that it has. */
  async roles(options?: CallOptions): Promise<Role[]> {
    const { roles } = await this.#client.userGet({ name: this.name }, options)
    return roles.map((role) => new Role(this.#client, role))
  }

  /** Gives it a role. */
  async addRole(role: string | Role, options?: CallOptions): Promise<this> {
    await this.#client.userGrantRole({ user: this.name, role: nameOf(role) }, options)
    return this
  }

  /** Takes a role away from it. */
  async removeRole(role: string | Role, options?: CallOptions): Promise<this> {
    await this.#client.userRevokeRole({ name: this.name, role: nameOf(role) }, options)
    return this
  }
}

function nameOf(named: string | { readonly name: string }): string {
  return nameText('name', typeof named === 'object' ? named?.name : named)
}

function rangeOf(request: IPermissionRequest): Range {
  assertOptions('a permission', request)
  return 'key' in request ? new Range(request.key) : Range.from(request.range)
}
