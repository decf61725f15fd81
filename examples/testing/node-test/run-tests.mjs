import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { EtcdCluster } from 'etcdkit/testing'

// Starts one cluster for the whole run; the test files find it through the environment.
const cluster = await EtcdCluster.start()
process.env.ETCDCTL_ENDPOINTS = cluster.endpoints.join(',')
const tests = spawn(process.execPath, ['--test', ...process.argv.slice(2)], { stdio: 'inherit' })
const [code] = await once(tests, 'exit')
await cluster.stop()
process.exitCode = code ?? 1
