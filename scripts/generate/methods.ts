import type { Rpc, Schema } from './schema.js'

/** `src/protobuf/generated/methods.ts`: one row for each RPC. */
export function methodsFile({ rpcs }: Schema): string {
  const services = [...new Set(rpcs.map((rpc) => rpc.service))]
  const hot = rpcs.filter((rpc) => rpc.hot)
  const codecs = [...hot.map((rpc) => `encode${rpc.request.name}`), ...hot.map((rpc) => `read${rpc.response.name}`)]
  return `import { cold, hot } from '../method.js'
import {
${[...new Set(codecs)].map((name) => `  ${name},\n`).join('')}} from './codecs.js'
import type * as message from './messages.js'

/** Every RPC of etcd, by service and method. */
export const methods = {
${services.map((service) => serviceRows(service, rpcs)).join('')}}
`
}

function serviceRows(service: string, rpcs: readonly Rpc[]): string {
  const rows = rpcs.filter((rpc) => rpc.service === service).map((rpc) => `    ${rpc.method}: ${row(rpc)},\n`)
  return `  ${service}: {\n${rows.join('')}  },\n`
}

function row({ hot, name, path, kind, request, response }: Rpc): string {
  const place = `'${name}', '${path}', '${kind}'`
  if (hot) return `hot(${place}, encode${request.name}, read${response.name})`
  const types = `message.${request.name}, message.${response.name}, '${kind}'`
  return `cold<${types}>(\n      ${place}, '${request.name}', '${response.name}',\n    )`
}
