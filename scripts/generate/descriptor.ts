import type { Schema } from './schema.js'
import { literal } from './text.js'

/** `src/protobuf/generated/descriptor.ts`: the schema as the data that the protobuf library builds its codecs from. */
export function descriptorFile({ root }: Schema): string {
  return `/** The etcd protocol as a JSON descriptor of protobufjs. */
export const descriptor: { readonly nested: Readonly<Record<string, object>> } = ${literal(root.toJSON())}
`
}
