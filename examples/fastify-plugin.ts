/**
 * A Fastify plugin that adds a client as `app.etcd`, a route for readiness probes, and a graceful shutdown. It maps errors of
 * etcd to HTTP status codes: `npx tsx examples/fastify-plugin.ts`.
 */
import { type ClientOptions, Etcd, isEtcdError } from 'etcdkit'
import { EtcdCluster } from 'etcdkit/testing'
import fastify, { type FastifyInstance } from 'fastify'

declare module 'fastify' {
  interface FastifyInstance {
    readonly etcd: Etcd
  }
}

/** Registered on the server itself, so that all routes have the client. */
async function useEtcd(app: FastifyInstance, options: ClientOptions): Promise<void> {
  const etcd = new Etcd(options)
  app.decorate('etcd', etcd)
  app.addHook('onClose', () => etcd.close()) // after all requests in flight
  app.get('/readyz', async (_, reply) => {
    const { status, problems } = await etcd.health({ timeoutMs: 800 })
    return reply.code(status === 'unhealthy' ? 503 : 200).send({ status, problems })
  })
  app.setErrorHandler((error, _, reply) => {
    if (!isEtcdError(error)) return reply.send(error)
    return reply.code(error.retryable ? 503 : 500).send({ code: error.code, effect: error.effect })
  })
}

await using cluster = await EtcdCluster.start()
const app = fastify()
await useEtcd(app, { endpoints: cluster.endpoints, timeoutMs: 1000 })

app.put<{ Params: { name: string }; Body: string }>('/flags/:name', async ({ params, body }) => {
  const { revision } = await app.etcd.put(`flags/${params.name}`, String(body))
  return { revision }
})
app.get<{ Params: { name: string } }>('/flags/:name', async ({ params }, reply) => {
  const kv = await app.etcd.get(`flags/${params.name}`)
  return kv === undefined ? reply.callNotFound() : { value: kv.valueText, revision: kv.modRevision }
})

async function show(method: 'GET' | 'PUT', url: string, payload?: string): Promise<void> {
  const headers = payload === undefined ? {} : { 'content-type': 'text/plain' }
  const answer = await app.inject({ method, url, headers, ...(payload === undefined ? {} : { payload }) })
  console.log(method, url, answer.statusCode, answer.body)
}

await show('GET', '/flags/dark')
await show('PUT', '/flags/dark', 'on')
await show('GET', '/flags/dark')
await show('GET', '/readyz')
await cluster.kill(0)
await show('GET', '/readyz')
await show('GET', '/flags/dark')
await app.close()
