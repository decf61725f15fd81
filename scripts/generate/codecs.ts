import type protobuf from 'protobufjs'
import { closure, enumNames, enumOf, enumTypeName, isId, messageOf, oneofOf, type Schema } from './schema.js'
import { braces, lowerFirst } from './text.js'

/** `src/protobuf/generated/codecs.ts`: encoders of the hot requests and readers of the hot responses. */
export function codecsFile(schema: Schema): string {
  const hot = schema.rpcs.filter((rpc) => rpc.hot)
  const roots = new Set(hot.map((rpc) => rpc.request))
  const requests = closure(schema, roots)
  const answers = new Set(hot.map((rpc) => rpc.response))
  const responses = closure(schema, answers)
  const types = [...requests, ...responses].map((message) => message.name).filter((name) => name !== 'KeyValue')
  const enums = new Set(
    [...requests, ...responses].flatMap((message) => message.fieldsArray.flatMap((f) => enumOf(f) ?? [])),
  )
  return `import { KeyValue } from '../../core/key-value.js'
import type { Reader } from '../reader.js'
import { Writer } from '../writer.js'
import type {
${[...types, ...[...enums].map(enumTypeName)].map((name) => `  ${name},\n`).join('')}} from './messages.js'

const shared = new Writer()

${[...enums].map(enumTable).join('')}
${requests.map((message) => writeFunction(message, roots.has(message))).join('\n')}
${responses.map(readFunction).join('\n')}`
}

function enumTable(type: protobuf.Enum): string {
  const names = enumNames(type).map((name) => `'${name}'`)
  return `const ${enumTableName(type)}: readonly ${enumTypeName(type)}[] = [${names.join(', ')}]\n`
}

function enumTableName(type: protobuf.Enum): string {
  return `${lowerFirst(enumTypeName(type))}s`
}

function writeFunction(message: protobuf.Type, root: boolean): string {
  const { name, fieldsArray: fields } = message
  const encode = `
export function encode${name}(${fields.length === 0 ? '_' : ''}message: ${name}): Buffer {
  const writer = shared.reset()
${fields.length === 0 ? '' : `  write${name}(writer, message)\n`}  return writer.finish()
}
`
  // An empty message that is never nested needs no function to write its fields.
  return `${root && fields.length === 0 ? '' : writeFields(message)}${root ? encode : ''}`.trimStart()
}

function writeFields({ name, fieldsArray: fields }: protobuf.Type): string {
  if (fields.length === 0) return `function write${name}(_writer: Writer, _message: ${name}): void {}\n`
  return `function write${name}(writer: Writer, message: ${name}): void {
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
  const numeric = enumeration ? !field.repeated : ['int64', 'uint64', 'bool'].includes(field.type)
  return field.id * 8 + (numeric ? 0 : 2)
}

function readFunction(message: protobuf.Type): string {
  const { name, fieldsArray: fields } = message
  const target = name === 'KeyValue' ? 'message.' : ''
  const locals = () => fields.map((field) => `  ${initialValue(field)}\n`).join('')
  return `export function read${name}(reader: Reader, end: number): ${name} {
${target ? '  const message = new KeyValue()\n' : locals()}  while (reader.pos < end) {
    const tag = reader.tag()
    switch (tag) {
${fields.map((field) => readCase(field, target)).join('')}      default:
        reader.skip(tag)
    }
  }
  reader.finish(end)
  return ${
    target
      ? 'message'
      : braces(
          fields.map((field) => field.name),
          '  ',
        )
  }
}
`
}

function readCase(field: protobuf.Field, target: string): string {
  const value = readValue(field)
  const assign = field.repeated ? `${field.name}.push(${value})` : `${target}${field.name} = ${value}`
  const others = oneofOf(field).filter((other) => other !== field)
  const clear = others.length === 0 ? '' : `        ${others.map((other) => `${other.name} = `).join('')}undefined\n`
  return `      case ${tagOf(field)}:\n        ${assign}\n${clear}        break\n`
}

function readValue(field: protobuf.Field): string {
  const type = messageOf(field)
  const enumeration = enumOf(field)
  if (type) return `read${type.name}(reader, reader.begin())`
  if (enumeration && !field.repeated) return `reader.enumeration(${enumTableName(enumeration)})`
  if (isId(field)) return 'reader.id()'
  if (field.repeated && field.type !== 'string') throw new Error(`no rule reads ${field.fullName}`)
  if (['int64', 'uint64', 'bool', 'bytes', 'string'].includes(field.type)) return `reader.${field.type}()`
  throw new Error(`no rule reads ${field.fullName}`)
}

function initialValue(field: protobuf.Field): string {
  const { name } = field
  const type = messageOf(field)
  const enumeration = enumOf(field)
  if (field.repeated) return `const ${name}: ${type?.name ?? 'string'}[] = []`
  if (type) return `let ${name}: ${type.name} | undefined`
  if (enumeration) return `let ${name}: ${enumTypeName(enumeration)} = '${enumNames(enumeration)[0]}'`
  if (isId(field)) return `let ${name}: string | undefined`
  if (field.type === 'bool') return `let ${name} = false`
  if (field.type === 'string') return `let ${name} = ''`
  if (field.type === 'bytes') throw new Error(`no rule starts ${field.fullName}`)
  return `let ${name} = 0`
}
