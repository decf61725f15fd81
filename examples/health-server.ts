/**
 * A service with liveness and readiness probes for Kubernetes and a graceful shutdown:
 * `npx tsx examples/health-server.ts`.
 */
import { createServer, type ServerResponse } from 'node:http'
import { Etcd } from 'etcdkit'
import { EtcdCluster } from 'etcdkit/testing'

await using cluster = await EtcdCluster.start({ members: 3 })
await using etcd = new Etcd({ endpoints: cluster.endpoints })
let isEnding = false

function answer(response: ServerResponse, isGood: boolean, body: object): void {
  response.writeHead(isGood ? 200 : 503, { 'content-type': 'application/json' }).end(JSON.stringify(body))
}

/** A degraded cluster still serves requests: only `unhealthy` means that this process should receive none. */
async function ready(response: ServerResponse): Promise<void> {
  const { status, problems } = await etcd.health({ timeoutMs: 800 }) // less than the timeout of the probe
  answer(response, !isEnding && status !== 'unhealthy', { status, problems })
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
await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))

async function show(path: string): Promise<void> {
  const address = server.address()
  const port = typeof address === 'object' ? address?.port : 0
  const response = await fetch(`http://127.0.0.1:${port}${path}`, { headers: { connection: 'close' } })
  console.log(path, response.status, await response.text())
}

await show('/livez')
await show('/readyz')
await cluster.kill(2)
await show('/readyz')
await cluster.kill(1)
await show('/readyz')

isEnding = true // first fail the probes, then finish requests, then close the client
await new Promise((resolve) => server.close(resolve))
