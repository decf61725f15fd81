import type { Rpc, Schema } from './schema.js'

/** `src/protobuf/generated/methods.ts`: one row for each RPC. */
export function methodsFile({ rpcs }: Schema): string {
  const services = [...new Set(rpcs.map((rpc) => rpc.service))]
  const codecs = [...rpcs.map((rpc) => `write${rpc.request.name}`), ...rpcs.map((rpc) => `read${rpc.response.name}`)]
  return `import { method } from '../method.js'
import {
${[...new Set(codecs)].map((name) => `  ${name},\n`).join('')}} from './codecs.js'

/** Every RPC of etcd, by service and method. */
export const methods = {
${services.map((service) => serviceRows(service, rpcs)).join('')}}
`
}

function serviceRows(service: string, rpcs: readonly Rpc[]): string {
  const rows = rpcs.filter((rpc) => rpc.service === service).map((rpc) => `    ${rpc.method}: ${row(rpc)},\n`)
  return `  ${service}: {\n${rows.join('')}  },\n`
}

function row({ name, path, kind, request, response }: Rpc): string {
  return `method('${name}', '${path}', '${kind}', write${request.name}, read${response.name})`
}
