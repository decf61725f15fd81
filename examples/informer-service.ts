/**
 * A service driven by an informer: it derives the configuration of each zone from the backends in it, and continues while
 * the member that serves its watch is killed: `npx tsx examples/informer-service.ts`.
 */
import { Etcd, json } from 'etcdkit'
import { EtcdCluster } from 'etcdkit/testing'
import { WorkQueue } from 'etcdkit/workqueue'

type Backend = { readonly zone: string; readonly port: number }

const say = (text: string): void => console.log(`${(performance.now() / 1000).toFixed(2).padStart(6)} s  ${text}`)

await using cluster = await EtcdCluster.start({ members: 3 })
await using etcd = new Etcd({ endpoints: cluster.endpoints })
const write = (name: string, backend: Backend) => etcd.put(`backends/${name}`, JSON.stringify(backend))
/** Waits until a write has reached the informer and its handler, and the resulting work is done. */
const done = async ({ revision }: { readonly revision: number }): Promise<void> => {
  await backends.waitForRevision(revision)
  await new Promise(setImmediate)
  await zones.idle()
}
const memberOf = (endpoint = ''): string => `member ${cluster.endpoints.indexOf(endpoint)}`
for (const [index, name] of ['a', 'b'].entries()) await write(name, { zone: 'north', port: 8001 + index })

await using backends = etcd.informer(
  { prefix: 'backends/' },
  { codec: json<Backend>(), indexes: { zone: ({ zone }) => zone } },
)
// Derives the work from the current state of the informer, so concurrent changes of a zone need only one run.
const configure = async (zone: string, { signal }: { readonly signal: AbortSignal }): Promise<void> => {
  const ports = backends.by('zone', zone).map(({ value }) => value.port)
  await etcd.put(`config/${zone}`, ports.sort().join(' '), { signal })
  say(`    config/${zone} is now: ${ports.join(' ') || 'none'}`)
}
const onError = (error: unknown, zone: string): void => say(`    config/${zone} will be retried: ${error}`)
await using zones = new WorkQueue(configure, { concurrency: 4, onError })

backends.on('change', ({ type, keyText, value, old, revision, source }) => {
  say(`${type} ${keyText} at revision ${revision} (${source})`)
  for (const backend of [old?.value, value]) if (backend !== undefined) zones.add(backend.zone)
})
etcd.on('watchLost', ({ endpoint }) => say(`the watch lost ${memberOf(endpoint)}`))
etcd.on('watchResumed', ({ endpoint, downMs }) =>
  say(`the watch resumed on ${memberOf(endpoint)} after ${downMs.toFixed()} ms`),
)

await backends.ready()
say(`ready with ${backends.size} backends at revision ${backends.revision}`)
await done(await write('c', { zone: 'south', port: 8003 }))

const { endpoint } = backends.stats()
say(`${memberOf(endpoint)} is killed; meanwhile b moves and a is deleted`)
await cluster.kill(cluster.endpoints.indexOf(endpoint ?? ''))
await cluster.leader() // writes need a leader, reads from the informer do not
await write('b', { zone: 'south', port: 8002 })
await done(await etcd.delete('backends/a'))

for await (const { keyText, valueText } of etcd.list({ prefix: 'config/' }))
  say(`${keyText} holds: ${valueText || 'none'}`)
const { resyncs, reconnects } = backends.stats()
say(`reconnects: ${reconnects}, resyncs: ${resyncs}: nothing was missed`)
