import { descriptor } from '../../protobuf/generated/descriptor.js'

/** One field of a message. */
export interface Field {
  readonly name: string
  /** A scalar type of protobuf, or the name of a message or an enum. */
  readonly type: string
  readonly isRepeated: boolean
  /** The `oneof` that it belongs to. */
  readonly oneof: string | undefined
}

interface FieldNode {
  readonly type: string
  readonly rule?: string
}

/** A namespace, message, enum or service of the descriptor. */
interface Node {
  readonly nested?: Readonly<Record<string, Node>>
  readonly fields?: Readonly<Record<string, FieldNode>>
  readonly oneofs?: Readonly<Record<string, { readonly oneof: readonly string[] }>>
  readonly values?: Readonly<Record<string, number>>
  readonly methods?: Readonly<Record<string, { readonly responseType: string }>>
}

const nodes = new Map<string, Node>()

function collect(nested: Readonly<Record<string, Node>> = {}): void {
  for (const [name, node] of Object.entries(nested)) {
    nodes.set(name, node)
    collect(node.nested)
  }
}

collect(descriptor.nested)

/** The name of a type without its package. */
function simpleName(type: string): string {
  return type.slice(type.lastIndexOf('.') + 1)
}

/** The fields of a message in the order of their numbers; `undefined` for other types. */
export function fieldsOf(type: string): readonly Field[] | undefined {
  const { fields, oneofs = {} } = nodes.get(simpleName(type)) ?? {}
  if (fields === undefined) return undefined
  return Object.entries(fields).map(([name, field]) => ({
    name,
    type: field.type,
    isRepeated: field.rule === 'repeated',
    oneof: Object.keys(oneofs).find((group) => oneofs[group]?.oneof.includes(name)),
  }))
}

/** The number of an enum's value; `undefined` for other types. */
export function enumNumber(type: string, value: unknown): number | undefined {
  return nodes.get(simpleName(type))?.values?.[String(value)]
}

/** The name of the response message of a method, such as `KV.Range`. */
export function responseType(method: string): string {
  const [service = '', name = ''] = method.split('.')
  return nodes.get(service)?.methods?.[name]?.responseType ?? ''
}
