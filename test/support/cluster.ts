import { after, afterEach, before, type TestContext } from 'node:test'
import { type ClientOptions, Etcd } from '../../src/index.js'
import { EtcdCluster, type EtcdClusterOptions, type FaultProxy } from '../../src/testing/index.js'
import { proxyAt } from './cluster-view.js'

/** Clients of a cluster that close before the cluster stops. */
const clientsOf = new WeakMap<EtcdCluster, Set<Etcd>>()

/**
 * A cluster for the tests of the enclosing `describe`: starts before the first and stops after the last, when its
 * clients have been closed. The object can be used in hooks and tests, not yet while `describe` registers them.
 */
export function useCluster(options: EtcdClusterOptions = {}): EtcdCluster {
  let started: EtcdCluster | undefined
  before(async () => {
    started = await start(options)
  })
  const cluster = late('the cluster', () => started)
  const clients = new Set<Etcd>()
  clientsOf.set(cluster, clients)
  after(async () => {
    await Promise.all(Array.from(clients, (client) => client.close()))
    await started?.stop()
  })
  return cluster
}

/** A client of a cluster made by `useCluster()`, shared by the tests of the enclosing `describe`. */
export function useClient(cluster: EtcdCluster, options: ClientOptions = {}): Etcd {
  return lateClient(cluster, () => new Etcd({ endpoints: cluster.endpoints, ...options }))
}

/** Like `useClient()`, past the fault proxies. */
export function useDirectClient(cluster: EtcdCluster, options: ClientOptions = {}): Etcd {
  return lateClient(
    cluster,
    () => new Etcd({ endpoints: cluster.members.map((member) => member.clientUrl), ...options }),
  )
}

/** The fault proxy of a member of a cluster with `proxy: true`. Heals after each test. */
export function useProxy(cluster: EtcdCluster, index = 0): FaultProxy {
  afterEach(() => proxyAt(cluster, index).heal())
  return late('the proxy', () => proxyAt(cluster, index))
}

/** A cluster for one test. */
export async function startCluster(t: TestContext, options: EtcdClusterOptions = {}): Promise<EtcdCluster> {
  const cluster = await start(options)
  t.after(() => cluster.stop())
  return cluster
}

/** A single member elects itself after one timeout and misses no heartbeats, however busy the machine is. */
function start(options: EtcdClusterOptions): Promise<EtcdCluster> {
  return EtcdCluster.start((options.members ?? 1) === 1 ? { timers: 'fast', ...options } : options)
}

function lateClient(cluster: EtcdCluster, create: () => Etcd): Etcd {
  let client: Etcd | undefined
  before(() => {
    client = create()
    clientsOf.get(cluster)?.add(client)
  })
  return late('the client', () => client)
}

/** Stands for a value that a hook sets. */
function late<T extends object>(what: string, current: () => T | undefined): T {
  const target = (): T => {
    const value = current()
    if (value === undefined) throw new Error(`${what} has not started: use it in hooks and tests`)
    return value
  }
  return new Proxy({} as T, {
    get: (_, name) => {
      const value: unknown = Reflect.get(target(), name, target())
      return typeof value === 'function' ? value.bind(target()) : value
    },
    set: (_, name, value) => Reflect.set(target(), name, value),
    has: (_, name) => Reflect.has(target(), name),
    getPrototypeOf: () => Reflect.getPrototypeOf(target()),
  })
}
