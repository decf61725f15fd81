import { methods } from '../protobuf/methods.js'
import { checkCall } from '../transport/call-options.js'
import { type CallOptions, callContext, type Transport } from '../transport/transport.js'
import type { AuthCall } from './auth-call.js'
import { Roles } from './roles.js'
import type { AuthStats } from './token-source.js'
import { Users } from './users.js'

/** Whether authentication is enabled, and the revision of users and roles. */
export interface AuthStatus {
  readonly enabled: boolean
  readonly authRevision: number
}

/**
 * Users, roles and the authentication of a cluster, as managed by `etcdctl auth`, `etcdctl user` and `etcdctl role`.
 * Once authentication is enabled, everything except `status()` and reading the caller's own user and roles requires the
 * role root.
 */
export class Auth {
  readonly users: Users
  readonly roles: Roles
  readonly #call: AuthCall
  readonly #stats: () => AuthStats

  constructor(transport: Transport, stats: () => AuthStats) {
    this.#call = (method, request, options) => {
      const kind = { repeatable: method.repeatable }
      return transport.unary(method, request, callContext(options, kind))
    }
    this.#stats = stats
    this.users = new Users(this.#call)
    this.roles = new Roles(this.#call)
  }

  /** Counts the token requests of this client. */
  stats(): AuthStats {
    return this.#stats()
  }

  /**
   * Enables authentication. Requires a user `root` with the role `root`.
   *
   * @throws `ROOT_USER_NOT_EXIST`, `ROOT_ROLE_NOT_EXIST`.
   */
  async enable(options?: CallOptions): Promise<void> {
    checkCall('auth.enable()', options)
    await this.#call(methods.Auth.AuthEnable, {}, options)
  }

  /** Disables authentication. */
  async disable(options?: CallOptions): Promise<void> {
    checkCall('auth.disable()', options)
    await this.#call(methods.Auth.AuthDisable, {}, options)
  }

  /**
   * Reports whether authentication is enabled. Requires etcd 3.5 or later.
   *
   * @throws `UNIMPLEMENTED` on etcd 3.4.
   */
  async status(options?: CallOptions): Promise<AuthStatus> {
    checkCall('auth.status()', options)
    const { enabled, authRevision } = await this.#call(methods.Auth.AuthStatus, {}, options)
    return { enabled, authRevision }
  }
}
