import { InvalidArgumentError } from '../core/errors.js'
import { wellFormed } from '../core/validate.js'
import { methods } from '../protobuf/methods.js'
import { checkCall } from '../transport/call-options.js'
import type { CallOptions } from '../transport/transport.js'
import { type AuthCall, someName } from './auth-call.js'

/** A user and its roles. */
export interface User {
  readonly name: string
  /** The names of its roles. */
  readonly roles: readonly string[]
}

/** The users of a cluster; method names match `etcdctl user`. */
export class Users {
  readonly #call: AuthCall

  constructor(call: AuthCall) {
    this.#call = call
  }

  /**
   * Adds a user.
   *
   * @param password Without one, the user can only authenticate by a client certificate with its name.
   * @throws `USER_ALREADY_EXISTS`.
   */
  async add(name: string, password?: string, options?: CallOptions): Promise<void> {
    checkCall('auth.users.add()', options)
    const noPassword = password === undefined
    const request = {
      name: someName('name', name),
      password: noPassword ? undefined : somePassword(password),
      options: { noPassword },
    }
    await this.#call(methods.Auth.UserAdd, request, options)
  }

  /**
   * Returns a user.
   *
   * @throws `USER_NOT_FOUND`.
   */
  async get(name: string, options?: CallOptions): Promise<User> {
    checkCall('auth.users.get()', options)
    const { roles } = await this.#call(methods.Auth.UserGet, { name: someName('name', name) }, options)
    return { name, roles }
  }

  /** Lists the names of all users. */
  async list(options?: CallOptions): Promise<readonly string[]> {
    checkCall('auth.users.list()', options)
    const { users } = await this.#call(methods.Auth.UserList, {}, options)
    return users
  }

  /**
   * Removes a user and invalidates its tokens.
   *
   * @throws `USER_NOT_FOUND`.
   */
  async remove(name: string, options?: CallOptions): Promise<void> {
    checkCall('auth.users.remove()', options)
    await this.#call(methods.Auth.UserDelete, { name: someName('name', name) }, options)
  }

  /**
   * Changes a user's password and invalidates its tokens.
   *
   * @throws `USER_NOT_FOUND`.
   */
  async setPassword(name: string, password: string, options?: CallOptions): Promise<void> {
    checkCall('auth.users.setPassword()', options)
    const request = { name: someName('name', name), password: somePassword(password) }
    await this.#call(methods.Auth.UserChangePassword, request, options)
  }

  /**
   * Grants a role to a user.
   *
   * @throws `USER_NOT_FOUND`, `ROLE_NOT_FOUND`.
   */
  async grantRole(name: string, role: string, options?: CallOptions): Promise<void> {
    checkCall('auth.users.grantRole()', options)
    const request = { user: someName('name', name), role: someName('role', role) }
    await this.#call(methods.Auth.UserGrantRole, request, options)
  }

  /**
   * Revokes a role from a user.
   *
   * @throws `ROLE_NOT_GRANTED` if the user does not have it, `USER_NOT_FOUND`.
   */
  async revokeRole(name: string, role: string, options?: CallOptions): Promise<void> {
    checkCall('auth.users.revokeRole()', options)
    const request = { name: someName('name', name), role: someName('role', role) }
    await this.#call(methods.Auth.UserRevokeRole, request, options)
  }
}

/** Newer members refuse longer passwords; older ones cut them silently. */
const maxPasswordBytes = 72

/** Validates a password. The messages contain nothing of it. */
function somePassword(password: unknown): string {
  if (typeof password !== 'string' || password === '') {
    throw new InvalidArgumentError('`password` must be a non-empty string')
  }
  const bytes = Buffer.byteLength(wellFormed('password', password))
  if (bytes <= maxPasswordBytes) return password
  throw new InvalidArgumentError(`\`password\` must have at most ${maxPasswordBytes} bytes, got ${bytes}`)
}
