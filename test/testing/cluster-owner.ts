// Starts a cluster, prints its parts to standard output, and waits. Tests run it in its own process.
import { EtcdCluster } from '../../src/testing/index.js'

const cluster = await EtcdCluster.start({ members: 3, proxy: true })
await cluster.pause(2)
const { members, endpoints } = cluster
const ports = [...endpoints, ...members.flatMap(({ clientUrl, peerUrl }) => [clientUrl, peerUrl])]
const pids = members.map(({ pid }) => pid)
const [first] = members
console.log(JSON.stringify({ pids, ports, dataFolder: first?.dataDir }))

if (process.argv[2] === 'exit') process.exit()
// Only this read keeps the process alive: a forgotten cluster must not.
if (process.argv[2] === 'wait') process.stdin.resume()
