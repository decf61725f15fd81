import { goQuote } from './go-text.js'
import { idNumber, type Message } from './message-json.js'
import { enumNumber, type Field, fieldsOf } from './schema.js'

/** Names in etcdctl's fields that differ from the field's own name with a capital first letter. */
const labels: Readonly<Record<string, string>> = {
  clusterId: 'ClusterID',
  memberId: 'MemberID',
  memberID: 'MemberID',
  keys: 'Key',
  peerURLs: 'PeerURL',
  clientURLs: 'ClientURL',
  dbSize: 'DBSize',
  dbSizeInUse: 'DBSizeInUse',
  dbSizeQuota: 'DBSizeQuota',
  users: 'User',
  roles: 'Role',
  permType: 'PermType',
}

/** A message as lines of names and values, as with etcdctl's `--write-out=fields`. */
export function fieldLines(message: object, type: string, { hex = false, prefix = '' } = {}): string[] {
  return (fieldsOf(type) ?? []).flatMap((field) => {
    const value = (message as Message)[field.name]
    // Members without a revision, as in lists of members, leave it out of the header.
    if (type === 'ResponseHeader' && field.name === 'revision' && value === 0) return []
    if (field.isRepeated)
      return (Array.isArray(value) ? value : []).flatMap((item) => linesOf(item, field, hex, prefix))
    return value === undefined && !isId(field) ? [] : linesOf(value, field, hex, prefix)
  })
}

function linesOf(value: unknown, field: Field, hex: boolean, prefix: string): string[] {
  const { name, type } = field
  if (typeof value === 'object' && value !== null && !Buffer.isBuffer(value)) {
    const below = name.startsWith('prev') ? 'Prev' : ''
    const lines = fieldLines(value, type, { hex, prefix: below })
    return type === 'Member' ? [...lines, ''] : lines
  }
  return [`"${prefix}${labels[name] ?? name.slice(0, 1).toUpperCase() + name.slice(1)}" : ${shown(value, field, hex)}`]
}

function shown(value: unknown, field: Field, hex: boolean): string {
  if (isId(field) && typeof value !== 'number') {
    return hex ? String(value ?? 0) : String(idNumber(value === undefined ? undefined : String(value), field.type))
  }
  if (Buffer.isBuffer(value)) return goQuote(value)
  return typeof value === 'string' && enumNumber(field.type, value) === undefined
    ? goQuote(Buffer.from(value))
    : String(value)
}

/** An absent ID is zero. */
function isId({ name, type }: Field): boolean {
  return type.endsWith('int64') && /(^|[a-z])(id|lease|leader)$/i.test(name)
}
