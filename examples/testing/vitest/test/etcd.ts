import { EtcdCluster } from 'etcdkit/testing'

/** Starts one cluster for the whole run; the test files find it through the environment. */
export async function setup(): Promise<() => Promise<void>> {
  const cluster = await EtcdCluster.start()
  process.env.ETCDCTL_ENDPOINTS = cluster.endpoints.join(',')
  return () => cluster.stop()
}
