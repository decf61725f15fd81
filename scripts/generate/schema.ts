import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import protobuf from 'protobufjs'

const files = ['kv.proto', 'auth.proto', 'rpc.proto', 'v3lock.proto', 'v3election.proto', 'health.proto']

/** The 64-bit integers that are IDs, which users get as hexadecimal text. All others are numbers. */
const idFields: Readonly<Record<string, readonly string[]>> = {
  ResponseHeader: ['clusterId', 'memberId'],
  KeyValue: ['lease'],
  PutRequest: ['lease'],
  Compare: ['lease'],
  LeaseGrantRequest: ['ID'],
  LeaseGrantResponse: ['ID'],
  LeaseRevokeRequest: ['ID'],
  LeaseCheckpoint: ['ID'],
  LeaseKeepAliveRequest: ['ID'],
  LeaseKeepAliveResponse: ['ID'],
  LeaseTimeToLiveRequest: ['ID'],
  LeaseTimeToLiveResponse: ['ID'],
  LeaseStatus: ['ID'],
  Member: ['ID'],
  MemberRemoveRequest: ['ID'],
  MemberUpdateRequest: ['ID'],
  MemberPromoteRequest: ['ID'],
  MoveLeaderRequest: ['targetID'],
  AlarmRequest: ['memberID'],
  AlarmMember: ['memberID'],
  StatusResponse: ['leader'],
  LockRequest: ['lease'],
  CampaignRequest: ['lease'],
  LeaderKey: ['lease'],
}

/** One RPC with its resolved messages. */
export interface Rpc {
  readonly name: string
  readonly service: string
  readonly method: string
  readonly path: string
  readonly kind: 'unary' | 'serverStream' | 'bidi'
  readonly request: protobuf.Type
  readonly response: protobuf.Type
}

/** Everything in `proto/`, in the order of the files. */
export interface Schema {
  readonly root: protobuf.Root
  readonly messages: readonly protobuf.Type[]
  readonly enums: readonly protobuf.Enum[]
  readonly rpcs: readonly Rpc[]
}

/** Parses the files of `folder` and checks that the table of IDs fits them. */
export function loadSchema(folder: string): Schema {
  const root = new protobuf.Root()
  for (const file of files) {
    protobuf.parse(readFileSync(join(folder, file), 'utf8'), root, { keepCase: false, alternateCommentMode: true })
  }
  root.resolveAll()
  const all = [...descendants(root)]
  const messages = all.filter((object) => object instanceof protobuf.Type)
  const services = all.filter((object) => object instanceof protobuf.Service)
  checkIdFields(messages)
  return {
    root,
    messages,
    enums: all.filter((object) => object instanceof protobuf.Enum),
    rpcs: services.flatMap((service) => service.methodsArray.map((method) => rpc(service, method))),
  }
}

function* descendants(parent: protobuf.NamespaceBase): Generator<protobuf.ReflectionObject> {
  for (const object of parent.nestedArray) {
    yield object
    if (object instanceof protobuf.Namespace || object instanceof protobuf.Type) yield* descendants(object)
  }
}

function rpc(service: protobuf.Service, method: protobuf.Method): Rpc {
  const { resolvedRequestType: request, resolvedResponseType: response } = method
  if (!request || !response) throw new Error(`${method.fullName} is not resolved`)
  const name = `${service.name}.${method.name}`
  return {
    name,
    service: service.name,
    method: method.name,
    path: `/${service.fullName.slice(1)}/${method.name}`,
    kind: method.requestStream ? 'bidi' : method.responseStream ? 'serverStream' : 'unary',
    request,
    response,
  }
}

function checkIdFields(messages: readonly protobuf.Type[]): void {
  for (const [name, fields] of Object.entries(idFields)) {
    const message = messages.find((candidate) => candidate.name === name)
    for (const field of fields) {
      if (message?.fields[field] === undefined)
        throw new Error(`the table of IDs names ${name}.${field}, which does not exist`)
    }
  }
  for (const field of messages.flatMap((message) => message.fieldsArray)) {
    if (field.name.endsWith('ID') && !isId(field)) throw new Error(`${field.fullName} is missing in the table of IDs`)
  }
}

/** Whether a field is an ID rather than a number. */
export function isId(field: protobuf.Field): boolean {
  return idFields[field.parent?.name ?? '']?.includes(field.name) ?? false
}

/** The message type of a field, if it has one. */
export function messageOf(field: protobuf.Field): protobuf.Type | undefined {
  return field.resolvedType instanceof protobuf.Type ? field.resolvedType : undefined
}

/** The enum of a field, if it has one. */
export function enumOf(field: protobuf.Field): protobuf.Enum | undefined {
  return field.resolvedType instanceof protobuf.Enum ? field.resolvedType : undefined
}

/** The names of an enum in the order of their numbers, which must be 0, 1, 2 and so on. */
export function enumNames(type: protobuf.Enum): readonly string[] {
  const names = Object.keys(type.values)
  if (names.some((name, index) => type.values[name] !== index)) throw new Error(`${type.fullName} has gaps`)
  return names
}

/** The name of an enum on its own: `SortOrder`, but `PermissionType` for one that is only called `Type`. */
export function enumTypeName(type: protobuf.Enum): string {
  return type.name === 'Type' ? `${type.parent?.name}Type` : type.name
}

/** The members of the oneof that `field` is in; empty if it is in none. */
export function oneofOf(field: protobuf.Field): readonly protobuf.Field[] {
  return field.partOf?.fieldsArray ?? []
}

/** `roots` and every message inside them, each once, in the order of the schema. */
export function closure(schema: Schema, roots: Iterable<protobuf.Type>): readonly protobuf.Type[] {
  const found = new Set<protobuf.Type>()
  const visit = (message: protobuf.Type) => {
    if (found.has(message)) return
    found.add(message)
    for (const nested of message.fieldsArray.map(messageOf)) if (nested) visit(nested)
  }
  for (const root of roots) visit(root)
  return schema.messages.filter((message) => found.has(message))
}

/** Whether a message is part of requests, and of responses. */
export function directions(
  schema: Schema,
  message: protobuf.Type,
): { readonly request: boolean; readonly response: boolean } {
  const carries = (roots: readonly protobuf.Type[]): boolean => closure(schema, roots).includes(message)
  return {
    request: carries(schema.rpcs.map((rpc) => rpc.request)),
    response: carries(schema.rpcs.map((rpc) => rpc.response)),
  }
}

/** The name of a message's type in requests, where every field is optional. */
export function requestTypeName(schema: Schema, message: protobuf.Type): string {
  return directions(schema, message).response ? `${message.name}Init` : message.name
}
