import { encodeRange, isOpenEnd, prefixEnd } from '../../core/key-range.js'
import type { Permission, PermissionType } from '../../protobuf/generated/messages.js'
import { methods } from '../../protobuf/methods.js'
import type { FlagValues } from '../command.js'
import { keyRangeOf, rangeFlags } from '../key-range-flags.js'
import { UsageError } from '../usage-error.js'
import { defineRpc } from '../wire/rpc-command.js'

/** Adds a role. */
export const roleAddCommand = defineRpc({
  name: 'role add',
  usage: 'NAME',
  summary: 'add a role without permissions',
  flags: {},
  arity: [1, 1],
  method: methods.Auth.RoleAdd,
  request: ({ args: [name] }) => ({ name }),
  text: (_, { args: [name] }) => `Role ${name} created`,
})

/** Deletes a role. */
export const roleDeleteCommand = defineRpc({
  name: 'role delete',
  usage: 'NAME',
  summary: 'delete a role, and revoke it from all users',
  flags: {},
  arity: [1, 1],
  method: methods.Auth.RoleDelete,
  request: ({ args: [role] }) => ({ role }),
  text: (_, { args: [name] }) => `Role ${name} deleted`,
})

/** Shows a role. */
export const roleGetCommand = defineRpc({
  name: 'role get',
  usage: 'NAME',
  summary: 'show the permissions of a role',
  flags: {},
  arity: [1, 1],
  method: methods.Auth.RoleGet,
  request: ({ args: [role] }) => ({ role }),
  text: ({ perm }, { args: [name = ''] }) => roleText(name, perm),
})

/** Lists the roles. */
export const roleListCommand = defineRpc({
  name: 'role list',
  usage: '',
  summary: 'list the names of all roles',
  flags: {},
  arity: [0, 0],
  method: methods.Auth.RoleList,
  request: () => ({}),
  text: ({ roles }) => (roles.length === 0 ? undefined : roles.join('\n')),
})

const permissionTypes: ReadonlyMap<string, PermissionType> = new Map([
  ['read', 'READ'],
  ['write', 'WRITE'],
  ['readwrite', 'READWRITE'],
])

/** Grants a permission. */
export const roleGrantPermissionCommand = defineRpc({
  name: 'role grant-permission',
  usage: 'ROLE read|write|readwrite KEY [END]',
  summary: 'let a role read or write a key, or the keys from KEY up to END',
  flags: rangeFlags,
  arity: [3, 4],
  method: methods.Auth.RoleGrantPermission,
  request({ flags, args: [name, type = '', ...range] }) {
    const permType = permissionTypes.get(type.toLowerCase())
    if (permType === undefined)
      throw new UsageError(`the permission must be read, write or readwrite, got ${JSON.stringify(type)}`)
    return { name, perm: { permType, ...permissionRange(range, flags) } }
  },
  text: (_, { args: [name] }) => `Role ${name} updated`,
})

/** Revokes a permission. */
export const roleRevokePermissionCommand = defineRpc({
  name: 'role revoke-permission',
  usage: 'ROLE KEY [END]',
  summary: 'revoke the permission that was granted on exactly this key or range',
  flags: rangeFlags,
  arity: [2, 3],
  method: methods.Auth.RoleRevokePermission,
  request: ({ flags, args: [role, ...range] }) => ({ role, ...permissionRange(range, flags) }),
  text(_, { flags, args: [name, ...range] }) {
    const { key, rangeEnd } = permissionRange(range, flags)
    const what = rangeEnd.length === 0 ? `key ${key}` : `range ${rangeText(key, rangeEnd)}`
    return `Permission of ${what} is revoked from role ${name}`
  },
})

/** The permission that etcdctl stores for all keys begins at the zero byte. */
function permissionRange(args: readonly string[], flags: FlagValues<typeof rangeFlags>) {
  return encodeRange(keyRangeOf(args, flags).range)
}

/** A role with its permissions, as etcdctl prints it. */
export function roleText(name: string, permissions: readonly Permission[]): string {
  const lines = (...types: readonly PermissionType[]): string[] =>
    permissions
      .filter(({ permType }) => types.includes(permType))
      .map((permission) => `\t${permissionText(permission)}`)
  return [`Role ${name}`, 'KV Read:', ...lines('READ', 'READWRITE'), 'KV Write:', ...lines('WRITE', 'READWRITE')].join(
    '\n',
  )
}

function permissionText({ key, rangeEnd }: Permission): string {
  if (rangeEnd.length === 0) return String(key)
  const isPrefix = !isOpenEnd(rangeEnd) && prefixEnd(key).equals(rangeEnd)
  return `${rangeText(key, rangeEnd)}${isPrefix ? ` (prefix ${key})` : ''}`
}

function rangeText(key: Buffer, rangeEnd: Buffer): string {
  return `[${key}, ${isOpenEnd(rangeEnd) ? '<open ended>' : `${rangeEnd})`}`
}
