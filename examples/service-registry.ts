/**
 * Instances of a service register themselves, and a consumer follows the list: `npx tsx examples/service-registry.ts`. The
 * records are compatible with etcd's Go module `naming/endpoints`, so Go services can discover them, and vice versa.
 */
import { createServer } from 'node:http'
import { Etcd } from 'etcdkit'
import { type ServiceEndpoint, ServiceEndpoints } from 'etcdkit/naming'
import { EtcdCluster } from 'etcdkit/testing'

await using cluster = await EtcdCluster.start()

/** Serves until `stop()` is called. If the process dies instead, its record expires after 10 seconds. */
async function startInstance(name: string): Promise<{ stop(): Promise<void> }> {
  const server = createServer((_, response) => response.end(`hello from ${name}`))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the server has no port')
  const etcd = new Etcd({ endpoints: cluster.endpoints })
  const endpoint = { name, address: `127.0.0.1:${address.port}`, metadata: { zone: 'a' } }
  const registration = await new ServiceEndpoints(etcd, 'services/greeter').register(endpoint, { ttlSeconds: 10 })
  return {
    async stop() {
      await registration.close() // first stop new requests, then shut down
      await etcd.close()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

await using etcd = new Etcd({ endpoints: cluster.endpoints })
let known: readonly ServiceEndpoint[] = []
const ended = new AbortController()
const following = (async () => {
  for await (const endpoints of new ServiceEndpoints(etcd, 'services/greeter').watch({ signal: ended.signal })) {
    known = endpoints
    console.log('instances:', endpoints.map(({ name }) => name).join(', ') || 'none')
  }
})().catch(() => {})

async function seen(count: number): Promise<void> {
  while (known.length !== count) await new Promise((resolve) => setTimeout(resolve, 10))
}

const instances = await Promise.all([startInstance('one'), startInstance('two')])
await seen(2)
for (let call = 0; call < 4; call++) {
  const response = await fetch(`http://${known[call % known.length]?.address}/`, { headers: { connection: 'close' } })
  console.log(await response.text())
}
for (const instance of instances) await instance.stop()
await seen(0)
ended.abort()
await following
