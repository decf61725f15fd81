import type protobuf from 'protobufjs'
import {
  directions,
  enumNames,
  enumOf,
  enumTypeName,
  isId,
  messageOf,
  oneofOf,
  requestTypeName,
  type Schema,
} from './schema.js'
import { docblock } from './text.js'

const preamble = `import type { KeyValue } from '../../core/key-value.js'

// Requests: every field is optional and means its proto3 default where it is left out; bytes are any Uint8Array.
// Responses: every field is there; bytes are Buffers, views of the answer; a message that was not sent is undefined.
// A message that travels both ways is declared as a response and, with \`Init\` in its name, as a request.

/**
 * The ID of a lease, a member or a cluster: lower-case hexadecimal without leading zeros. Lease IDs are shown as unsigned
 * too. Where a request means "no ID" by a value, that is \`'0'\`.
 */
export type Id = string
`

type Role = 'request' | 'response'

/** `src/protobuf/generated/messages.ts`: the TypeScript types of all enums, and of all messages that RPCs carry. */
export function messagesFile(schema: Schema): string {
  const types = new Types(schema)
  const messages = schema.messages.filter((message) => message.name !== 'KeyValue')
  const enums = schema.enums.map(enumType)
  return [preamble, ...enums, ...messages.flatMap((message) => types.declarations(message))].join('\n')
}

function enumType(type: protobuf.Enum): string {
  const values = enumNames(type).map((name) => {
    const comment = type.comments[name]
    return comment ? `- \`${name}\`: ${comment}` : undefined
  })
  const comment = [type.comment, ...values].filter(Boolean).join('\n')
  const names = enumNames(type).map((name) => `'${name}'`)
  return `${docblock(comment)}export type ${enumTypeName(type)} = ${names.join(' | ')}\n`
}

class Types {
  readonly #schema: Schema

  constructor(schema: Schema) {
    this.#schema = schema
  }

  /** None for a message that is part of no RPC. */
  declarations(message: protobuf.Type): string[] {
    const { request, response } = directions(this.#schema, message)
    return [
      ...(response ? [this.#response(message)] : []),
      ...(request ? [this.#request(message, requestTypeName(this.#schema, message))] : []),
    ]
  }

  #response(message: protobuf.Type): string {
    return this.#interface(message, message.name, message.fieldsArray, (field) => {
      const optional = isId(field) || (messageOf(field) && !field.repeated && !field.map)
      return `readonly ${field.name}: ${this.#type(field, 'response')}${optional ? ' | undefined' : ''}`
    })
  }

  #request(message: protobuf.Type, name: string): string {
    const oneof = message.oneofsArray[0]
    const plain = message.fieldsArray.filter((field) => field.partOf !== oneof || !oneof)
    const optional = (field: protobuf.Field) => `readonly ${field.name}?: ${this.#type(field, 'request')} | undefined`
    if (!oneof) return this.#interface(message, name, plain, optional)
    const union = oneof.fieldsArray.map((field) => `  | ${this.#variant(field)}`).join('\n')
    if (plain.length === 0) return `${docblock(message.comment)}export type ${name} =\n${union}\n`
    const fields = this.#interface(message, `${name}Fields`, plain, optional)
    return `${fields}\n${docblock(message.comment)}export type ${name} = ${name}Fields & (\n${union}\n)\n`
  }

  #variant(field: protobuf.Field): string {
    const others = oneofOf(field).filter((other) => other !== field)
    const absent = others.map((other) => `readonly ${other.name}?: undefined`)
    return `{ ${[`readonly ${field.name}: ${this.#type(field, 'request')}`, ...absent].join('; ')} }`
  }

  #interface(
    message: protobuf.Type,
    name: string,
    fields: readonly protobuf.Field[],
    declare: (field: protobuf.Field) => string,
  ): string {
    const body = fields.map((field) => `${docblock(field.comment, '  ')}  ${declare(field)}\n`).join('')
    return `${docblock(message.comment)}export interface ${name} {${body === '' ? '' : `\n${body}`}}\n`
  }

  #type(field: protobuf.Field, role: Role): string {
    const single = this.#singleType(field, role)
    if (field.map) return `Readonly<Record<string, ${single}>>`
    if (!field.repeated) return single
    return role === 'request' ? `readonly ${single}[]` : `${single}[]`
  }

  #singleType(field: protobuf.Field, role: Role): string {
    const message = messageOf(field)
    const enumeration = enumOf(field)
    if (message) return role === 'request' ? requestTypeName(this.#schema, message) : message.name
    if (enumeration) return enumTypeName(enumeration)
    return scalarType(field, role)
  }
}

function scalarType(field: protobuf.Field, role: Role): string {
  switch (field.type) {
    case 'bytes':
      return role === 'request' ? 'Uint8Array' : 'Buffer'
    case 'bool':
      return 'boolean'
    case 'string':
      return 'string'
    case 'int64':
    case 'uint64':
      return isId(field) ? 'Id' : 'number'
    case 'uint32':
      return 'number'
    default:
      throw new Error(`${field.fullName} has the type ${field.type}, which no rule is for`)
  }
}
