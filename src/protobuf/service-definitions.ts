import type { ServiceDefinition } from '@grpc/proto-loader'
import { importCommonJs } from '../core/import-common-js.js'
import { methods } from './methods.js'

/** The services of etcd's API by name: `KV`, `Watch`, `Lease` and so on. */
export type ServiceDefinitions = Readonly<Record<keyof typeof methods, ServiceDefinition>>

/**
 * Loads the service definitions of etcd's API in the form that `@grpc/grpc-js` uses, for a server that stands in for etcd in
 * a test, or for a plain grpc-js client. The client itself does not need them: it encodes and decodes by generated code.
 *
 * Messages have camelCase fields, 64-bit integers as decimal strings, enums as names, bytes as Buffers, and every field in
 * what is received.
 *
 * @returns one definition for each service; `@grpc/proto-loader` is loaded by the first call
 * @example
 * ```ts
 * import { type sendUnaryData, Server } from '@grpc/grpc-js'
 * import { loadServiceDefinitions } from 'etcdkit'
 *
 * const { KV } = await loadServiceDefinitions()
 * const server = new Server()
 * server.addService(KV, {
 *   Range: (_call: unknown, respond: sendUnaryData<object>) =>
 *     respond(null, { header: { revision: '1' }, kvs: [], count: '0' }),
 * })
 * ```
 */
export async function loadServiceDefinitions(): Promise<ServiceDefinitions> {
  const [{ fromJSON }, { descriptor }] = await Promise.all([
    importCommonJs(() => import('@grpc/proto-loader')),
    import('./generated/descriptor.js'),
  ])
  const definitions = fromJSON(descriptor, { longs: String, enums: String, defaults: true })
  const services = Object.entries(methods).map(([service, rows]) => {
    const [{ path } = { path: '' }] = Object.values(rows)
    const fullName = path.slice(1, path.lastIndexOf('/'))
    return [service, definitions[fullName]]
  })
  return Object.fromEntries(services) as ServiceDefinitions
}
