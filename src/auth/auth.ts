import { methods } from '../protobuf/methods.js'
import { checkCall } from '../transport/call-options.js'
import { type CallOptions, callContext, type Transport } from '../transport/transport.js'
import type { AuthCall } from './auth-call.js'
import { Roles } from './roles.js'
import type { AuthStats } from './token-source.js'
import { Users } from './users.js'

/** Whether authentication is on, and the revision of its users and roles. */
export interface AuthStatus {
  readonly enabled: boolean
  readonly authRevision: number
}

/**
 * Users, roles and the authentication of a cluster, as `etcdctl auth`, `etcdctl user` and `etcdctl role` manage them. All
 * of it but `status()` and reading one's own user and roles needs the root role once authentication is on.
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

  /** How often this client has asked for tokens. */
  stats(): AuthStats {
    return this.#stats()
  }

  /** Switches authentication on. There must be a user `root` with the role `root`. */
  async enable(options?: CallOptions): Promise<void> {
    checkCall('auth.enable()', options)
    await this.#call(methods.Auth.AuthEnable, {}, options)
  }

  /** Switches authentication off. */
  async disable(options?: CallOptions): Promise<void> {
    checkCall('auth.disable()', options)
    await this.#call(methods.Auth.AuthDisable, {}, options)
  }

  /** Whether authentication is on; etcd 3.5 or later. */
  async status(options?: CallOptions): Promise<AuthStatus> {
    checkCall('auth.status()', options)
    const { enabled, authRevision } = await this.#call(methods.Auth.AuthStatus, {}, options)
    return { enabled, authRevision }
  }
}
