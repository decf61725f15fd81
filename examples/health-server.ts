/**
 * A service with liveness and readiness probes for Kubernetes that shuts down gracefully at SIGTERM:
 * `npx tsx examples/health-server.ts`.
 */
import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { Etcd } from 'etcdkit'
import { EtcdCluster } from 'etcdkit/testing'

await using cluster = await EtcdCluster.start({ members: 3 })
const etcd = new Etcd({ endpoints: cluster.endpoints })
const drainMs = 200 // in production, some seconds: until Kubernetes has removed the pod from its service
let isStopping = false

function answer(response: ServerResponse, isGood: boolean, body: object): void {
  response.writeHead(isGood ? 200 : 503, { 'content-type': 'application/json' }).end(JSON.stringify(body))
}

/** A degraded cluster still serves requests: only `unhealthy` means that this process should receive none. */
async function ready(response: ServerResponse): Promise<void> {
  const { status, problems } = await etcd.health({ timeoutMs: 800 }) // less than the timeout of the probe
  answer(response, !isStopping && status !== 'unhealthy', { status, problems })
}

const server = createServer((request, response) => {
  switch (request.url) {
    case '/livez': // independent of etcd: restarting this process would not repair it
      return answer(response, true, {})
    case '/readyz':
      return void ready(response).catch(() => answer(response, false, {}))
    default:
      return answer(response, true, { hello: 'world' })
  }
})

/** First fail the probe, then finish the requests, then close the client, which releases locks and registrations. */
async function stop(): Promise<void> {
  isStopping = true
  await sleep(drainMs)
  server.close()
  await once(server, 'close')
  await etcd.close()
}
const stopped = once(process, 'SIGTERM').then(stop)

server.listen(0, '127.0.0.1')
await once(server, 'listening')

// What Kubernetes sees.
async function show(path: string): Promise<void> {
  const { port } = server.address() as AddressInfo
  const response = await fetch(`http://127.0.0.1:${port}${path}`, { headers: { connection: 'close' } })
  console.log(path, response.status, await response.text())
}
await show('/livez')
await show('/readyz')
await cluster.kill(2)
await show('/readyz')
process.kill(process.pid, 'SIGTERM')
await once(process, 'SIGTERM')
await show('/readyz')
await stopped
console.log('stopped')
