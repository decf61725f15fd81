import protobuf from 'protobufjs'
import {
  closure,
  enumNames,
  enumOf,
  enumTypeName,
  isId,
  messageOf,
  oneofOf,
  requestTypeName,
  type Schema,
} from './schema.js'
import { braces, lowerFirst } from './text.js'

/** `src/protobuf/generated/codecs.ts`: a writer for each message of a request, and a reader for each of a response. */
export function codecsFile(schema: Schema): string {
  const requests = closure(schema, new Set(schema.rpcs.map((rpc) => rpc.request)))
  const responses = closure(schema, new Set(schema.rpcs.map((rpc) => rpc.response)))
  return `import { KeyValue } from '../../core/key-value.js'
import { emptyBytes, type Reader } from '../reader.js'
import type { Writer } from '../writer.js'
import type {
${typeNames(schema, requests, responses)
  .map((name) => `  ${name},\n`)
  .join('')}} from './messages.js'

${enumsIn([...requests, ...responses])
  .map(enumTable)
  .join('')}
${requests.map((message) => writeFunction(message, requestTypeName(schema, message))).join('\n')}
${responses.map((message, index) => readFunction(message, responses.slice(0, index))).join('\n')}`
}

function typeNames(
  schema: Schema,
  requests: readonly protobuf.Type[],
  responses: readonly protobuf.Type[],
): readonly string[] {
  const names = [
    ...requests.map((message) => requestTypeName(schema, message)),
    ...responses.map((message) => message.name).filter((name) => name !== 'KeyValue'),
    ...enumsIn([...requests, ...responses]).map(enumTypeName),
  ]
  return [...new Set(names)]
}

function enumsIn(messages: readonly protobuf.Type[]): readonly protobuf.Enum[] {
  return [...new Set(messages.flatMap((message) => message.fieldsArray.flatMap((field) => enumOf(field) ?? [])))]
}

function enumTable(type: protobuf.Enum): string {
  const names = enumNames(type).map((name) => `'${name}'`)
  return `const ${enumTableName(type)}: readonly ${enumTypeName(type)}[] = [${names.join(', ')}]\n`
}

function enumTableName(type: protobuf.Enum): string {
  return `${lowerFirst(enumTypeName(type))}s`
}

function writeFunction({ name, fieldsArray: fields }: protobuf.Type, typeName: string): string {
  if (fields.length === 0) return `export function write${name}(_writer: Writer, _message: ${typeName}): void {}\n`
  return `export function write${name}(writer: Writer, message: ${typeName}): void {
  const ${braces(
    fields.map((field) => field.name),
    '  ',
  )} = message
${fields.map(writeField).join('')}}
`
}

function writeField(field: protobuf.Field): string {
  const { name } = field
  const type = messageOf(field)
  if (field instanceof protobuf.MapField) throw new Error(`no rule writes ${field.fullName}`)
  if (type && field.repeated) {
    return `  if (${name} !== undefined) {
    for (const item of ${name}) {
      const mark = writer.open(${tagOf(field)})
      write${type.name}(writer, item)
      writer.close(mark)
    }
  }
`
  }
  if (type) {
    return `  if (${name} !== undefined) {
    const mark = writer.open(${tagOf(field)})
    write${type.name}(writer, ${name})
    writer.close(mark)
  }
`
  }
  if (field.repeated && field.type === 'string')
    return `  if (${name} !== undefined) for (const item of ${name}) writer.string(${tagOf(field)}, item)\n`
  return `  if (${isPresent(field)}) writer.${scalarWrite(field)}\n`
}

/** A member of a oneof is present even with its default value; all other scalars are left out then. */
function isPresent(field: protobuf.Field): string {
  const { name } = field
  const given = `${name} !== undefined`
  if (field.partOf) return given
  if (field.repeated || field.type === 'bytes' || field.type === 'string') return `${given} && ${name}.length > 0`
  const enumeration = enumOf(field)
  if (enumeration) return `${given} && ${name} !== '${enumNames(enumeration)[0]}'`
  if (isId(field)) return `${given} && ${name} !== '0'`
  return field.type === 'bool' ? name : `${given} && ${name} !== 0`
}

function scalarWrite(field: protobuf.Field): string {
  const { name } = field
  const tag = tagOf(field)
  const enumeration = enumOf(field)
  if (enumeration) {
    return `${field.repeated ? 'enumerations' : 'enumeration'}(${tag}, ${enumTableName(enumeration)}, ${name})`
  }
  if (field.repeated) throw new Error(`no rule writes ${field.fullName}`)
  if (isId(field)) return `id(${tag}, ${name})`
  if (!['int64', 'bool', 'bytes', 'string'].includes(field.type)) throw new Error(`no rule writes ${field.fullName}`)
  return `${field.type}(${tag}, ${name})`
}

function tagOf(field: protobuf.Field): number {
  const enumeration = enumOf(field)
  const numeric = enumeration ? !field.repeated : ['int64', 'uint64', 'uint32', 'bool'].includes(field.type)
  return field.id * 8 + (numeric ? 0 : 2)
}

/** Messages of the same fields, such as the many that hold a header only, share one reader. */
function readFunction(message: protobuf.Type, before: readonly protobuf.Type[]): string {
  const { name } = message
  const sameShape = before.find((other) => other.name !== 'KeyValue' && shape(other) === shape(message))
  const signature = `(reader: Reader, end: number) => ${name}`
  if (sameShape) return `export const read${name}: ${signature} = read${sameShape.name}\n`
  return `${message.fieldsArray.map((field) => readEntry(field)).join('')}${readMessage(message)}`
}

function shape({ fieldsArray: fields }: protobuf.Type): string {
  return fields
    .map((field) => [tagOf(field), field.name, field.type, isId(field), field.repeated, field.partOf?.name].join())
    .join(';')
}

function readMessage({ name, fieldsArray: fields }: protobuf.Type): string {
  const target = name === 'KeyValue' ? 'message.' : ''
  const locals = (): string => fields.map((field) => `  ${initialValue(field)}\n`).join('')
  const result = (): string => braces(fields.map(resultOf), '  ')
  return `export function read${name}(reader: Reader, end: number): ${name} {
${target ? '  const message = new KeyValue()\n' : locals()}  while (reader.pos < end) {
    const tag = reader.tag()
    switch (tag) {
${fields.map((field) => readCase(field, target)).join('')}      default:
        reader.skip(tag)
    }
  }
  reader.finish(end)
  return ${target ? 'message' : result()}
}
`
}

/** A map is a repeated message of a key and a value. Its keys may be any text, `__proto__` among them. */
function readEntry(field: protobuf.Field): string {
  const type = messageOf(field)
  if (!(field instanceof protobuf.MapField)) return ''
  if (!type || field.keyType !== 'string') throw new Error(`no rule reads ${field.fullName}`)
  return `function ${entryReader(field)}(reader: Reader, end: number): [string, ${type.name}] {
  let key = ''
  let value: ${type.name} | undefined
  while (reader.pos < end) {
    const tag = reader.tag()
    switch (tag) {
      case 10:
        key = reader.string()
        break
      case 18:
        value = read${type.name}(reader, reader.begin())
        break
      default:
        reader.skip(tag)
    }
  }
  reader.finish(end)
  return [key, value ?? read${type.name}(reader, reader.beginEmpty())]
}

`
}

function entryReader(field: protobuf.Field): string {
  return `read${field.parent?.name}${field.name.charAt(0).toUpperCase()}${field.name.slice(1)}Entry`
}

function resultOf(field: protobuf.Field): string {
  return field instanceof protobuf.MapField ? `${field.name}: Object.fromEntries(${field.name})` : field.name
}

function readCase(field: protobuf.Field, target: string): string {
  const value = readValue(field)
  const isList = field.repeated || field instanceof protobuf.MapField
  const assign = isList ? `${field.name}.push(${value})` : `${target}${field.name} = ${value}`
  const others = oneofOf(field).filter((other) => other !== field)
  const clear = others.length === 0 ? '' : `        ${others.map((other) => `${other.name} = `).join('')}undefined\n`
  return `      case ${tagOf(field)}:\n        ${assign}\n${clear}        break\n`
}

function readValue(field: protobuf.Field): string {
  const type = messageOf(field)
  const enumeration = enumOf(field)
  if (field instanceof protobuf.MapField) return `${entryReader(field)}(reader, reader.begin())`
  if (type) return `read${type.name}(reader, reader.begin())`
  if (enumeration && !field.repeated) return `reader.enumeration(${enumTableName(enumeration)})`
  if (isId(field)) return 'reader.id()'
  if (field.repeated && !['string', 'bytes'].includes(field.type)) throw new Error(`no rule reads ${field.fullName}`)
  if (['int64', 'uint64', 'uint32', 'bool', 'bytes', 'string'].includes(field.type)) return `reader.${field.type}()`
  throw new Error(`no rule reads ${field.fullName}`)
}

function initialValue(field: protobuf.Field): string {
  const { name } = field
  const type = messageOf(field)
  const enumeration = enumOf(field)
  if (field instanceof protobuf.MapField) return `const ${name}: [string, ${type?.name}][] = []`
  if (field.repeated) return `const ${name}: ${type?.name ?? (field.type === 'bytes' ? 'Buffer' : 'string')}[] = []`
  if (type) return `let ${name}: ${type.name} | undefined`
  if (enumeration) return `let ${name}: ${enumTypeName(enumeration)} = '${enumNames(enumeration)[0]}'`
  if (isId(field)) return `let ${name}: string | undefined`
  if (field.type === 'bool') return `let ${name} = false`
  if (field.type === 'string') return `let ${name} = ''`
  if (field.type === 'bytes') return `let ${name} = emptyBytes`
  return `let ${name} = 0`
}
