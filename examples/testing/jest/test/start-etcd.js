const { EtcdCluster } = require('etcdkit/testing')

/** Starts one cluster for the whole run; the test files find it through the environment. */
module.exports = async () => {
  globalThis.cluster = await EtcdCluster.start()
  process.env.ETCDCTL_ENDPOINTS = globalThis.cluster.endpoints.join(',')
}
