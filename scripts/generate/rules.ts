import type protobuf from 'protobufjs'
import { closure, enumNames, enumOf, isId, messageOf, type Schema } from './schema.js'
import { literal } from './text.js'

/** `src/protobuf/generated/rules.ts`: what the protobuf library's form of each cold message differs in from ours. */
export function rulesFile(schema: Schema): string {
  const roots = schema.rpcs.filter((rpc) => !rpc.hot).flatMap((rpc) => [rpc.request, rpc.response])
  const rules = closure(schema, roots).map((message) => [message.name, messageRules(message)])
  return `/** How one field, or each element of a repeated one, is converted. */
export type FieldRule =
  /** A 64-bit integer, signed or not: a number. */
  | 'int64'
  /** A 64-bit ID: hexadecimal text, or undefined for zero. */
  | 'id'
  | 'bytes'
  | { readonly enum: readonly string[] }
  | { readonly message: MessageName }
  /** A map from text to a message. */
  | { readonly map: MessageName }

/** Of each message that the protobuf library reads or writes, the fields that need converting. */
export const rules = ${literal(Object.fromEntries(rules))} as const

/** A message that the protobuf library reads or writes. */
export type MessageName = keyof typeof rules
`
}

function messageRules(message: protobuf.Type): Record<string, unknown> {
  const entries = message.fieldsArray.map((field) => [field.name, fieldRule(field)])
  return Object.fromEntries(entries.filter(([, rule]) => rule !== undefined))
}

function fieldRule(field: protobuf.Field): unknown {
  const message = messageOf(field)
  const enumeration = enumOf(field)
  if (message) return field.map ? { map: message.name } : { message: message.name }
  if (enumeration) return { enum: enumNames(enumeration) }
  if (isId(field)) return 'id'
  if (field.type === 'int64' || field.type === 'uint64') return 'int64'
  return field.type === 'bytes' ? 'bytes' : undefined
}
