import { ConnectionPool } from './connection-pool.js'
import { Namespace } from './namespace.js'
import type { IOptions } from './options.js'
import { Role, User } from './roles.js'
import { AuthClient, ClusterClient, MaintenanceClient } from './rpc/admin-clients.js'
import type { ICallable } from './rpc/callable.js'

/**
 * A client of an etcd cluster with the interface of npm `etcd3` 1.1.2.
 *
 * ```ts
 * import { Etcd3 } from 'etcdkit/etcd3'
 *
 * const client = new Etcd3({ hosts: 'http://10.0.0.1:2379' })
 * await client.put('config/port').value('8080')
 * ```
 */
export class Etcd3 extends Namespace {
  /** Users and roles, with the messages of etcd. */
  readonly auth: AuthClient
  /** Status, alarms, snapshots and the like, with the messages of etcd. */
  readonly maintenance: MaintenanceClient
  /** The members, with the messages of etcd. */
  readonly cluster: ClusterClient

  constructor(options: IOptions = { hosts: '127.0.0.1:2379' }) {
    super(Buffer.alloc(0), new ConnectionPool(options), options)
    this.auth = new AuthClient(this.pool)
    this.maintenance = new MaintenanceClient(this.pool)
    this.cluster = new ClusterClient(this.pool)
  }

  /** All roles. */
  async getRoles(): Promise<Role[]> {
    const { roles } = await this.auth.roleList()
    return roles.map((name) => this.role(name))
  }

  /** A role, which may or may not exist. */
  role(name: string): Role {
    return new Role(this.auth, name)
  }

  /** All users. */
  async getUsers(): Promise<User[]> {
    const { users } = await this.auth.userList()
    return users.map((name) => this.user(name))
  }

  /** A user, who may or may not exist. */
  user(name: string): User {
    return new User(this.auth, name)
  }

  /** Makes all calls by `callable` from now on. Watches and software transactions are not mocked: they are refused. */
  mock<T extends Partial<ICallable<never>>>(callable: T): T {
    this.pool.mock(callable as Partial<ICallable<string>>)
    return callable
  }

  /** Makes calls to the cluster again. */
  unmock(): void {
    this.pool.unmock()
  }

  /**
   * Ends everything: watches end, leases are no longer renewed, and later calls reject with a `ClientClosedError`. Resolves
   * when nothing of the client is left.
   */
  close(): Promise<void> {
    return this.pool.close()
  }
}
