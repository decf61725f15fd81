import type { TestContext } from 'node:test'
import { type AuthenticateRecord, channels, type Etcd, type KeyRange, type PermissionType } from '../../src/index.js'
import type { EtcdCluster } from '../../src/testing/index.js'
import { Load, type LoadOptions } from './load.js'

/** The password of the user root in tests, and of nobody else. */
export const rootPassword = 'root-secret'

/** What a user may do: one right on one range. */
export interface Grant {
  readonly type?: PermissionType
  readonly range?: KeyRange
}

/** Adds a user with a role of the same name; without a password, one that needs a certificate. */
export async function addUser(
  root: Etcd,
  name: string,
  password: string | undefined,
  { type = 'readwrite', range = { prefix: '' } }: Grant = {},
): Promise<void> {
  await root.auth.roles.add(name)
  await root.auth.roles.grant(name, type, range)
  await root.auth.users.add(name, password)
  await root.auth.users.grantRole(name, name)
}

/** How many Authenticate calls the members have answered; those of the harness are among them. */
export function authenticateCalls(cluster: EtcdCluster): Promise<number> {
  return cluster.metric('grpc_server_handled_total', { grpc_method: 'Authenticate' })
}

/** Collects what is published on `etcdkit:authenticate` during the test. */
export function authenticateRecords(t: TestContext): readonly AuthenticateRecord[] {
  const records: AuthenticateRecord[] = []
  const listen = (record: unknown): number => records.push(record as AuthenticateRecord)
  channels.authenticate.subscribe(listen)
  t.after(() => channels.authenticate.unsubscribe(listen))
  return records
}

/** A load that ends with the test, however that ends. */
export function startLoad(t: TestContext, call: () => Promise<unknown>, options: LoadOptions = {}): Load {
  const load = new Load(call, options)
  t.after(() => load.stop())
  return load
}
