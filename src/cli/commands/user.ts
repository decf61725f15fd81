import { methods } from '../../protobuf/methods.js'
import { type Context, defineCommand } from '../command.js'
import { firstLine } from '../standard-input.js'
import { UsageError } from '../usage-error.js'
import { unary } from '../wire/calls.js'
import { print } from '../wire/print.js'
import { defineRpc } from '../wire/rpc-command.js'
import { roleText } from './role.js'

const interactive = { type: 'boolean', help: '=false reads the password from standard input (true)' } as const

/** Adds a user. */
export const userAddCommand = defineRpc({
  name: 'user add',
  usage: 'NAME[:PASSWORD]',
  summary: 'add a user; asks for the password on a terminal',
  flags: {
    interactive,
    'new-user-password': {
      type: 'string',
      value: 'PASSWORD',
      help: 'password of the new user; visible to other users of the machine',
    },
    'no-password': { type: 'boolean', help: 'the user authenticates by a client certificate with its name only' },
  },
  arity: [1, 1],
  method: methods.Auth.UserAdd,
  async request({ flags, args: [given = ''] }, context) {
    if (flags['no-password'] === true) return { name: given, options: { noPassword: true } }
    const separate = flags['new-user-password']
    if (separate !== undefined) return { name: given, password: separate }
    const [name, inline] = splitUser(given)
    return { name, password: inline ?? (await newPassword(name, flags.interactive, context, addWays)) }
  },
  text: (_, { flags, args: [given = ''] }) => {
    const isWhole = flags['no-password'] === true || flags['new-user-password'] !== undefined
    return `User ${isWhole ? given : splitUser(given)[0]} created`
  },
})

/** Changes a password. */
export const userPasswdCommand = defineRpc({
  name: 'user passwd',
  usage: 'NAME',
  summary: 'change the password of a user; asks for it on a terminal',
  flags: { interactive },
  arity: [1, 1],
  method: methods.Auth.UserChangePassword,
  request: async ({ flags, args: [name = ''] }, context) => ({
    name,
    password: await newPassword(name, flags.interactive, context, passwdWays),
  }),
  text: () => 'Password updated',
})

const passwdWays = 'write it to standard input with --interactive=false'
const addWays = `${passwdWays}, use --new-user-password, or --no-password for a user without one`

function splitUser(text: string): readonly [name: string, password: string | undefined] {
  const colon = text.indexOf(':')
  return colon < 0 ? [text, undefined] : [text.slice(0, colon), text.slice(colon + 1)]
}

async function newPassword(
  name: string,
  isInteractive: boolean | undefined,
  { prompt, stdin, signal }: Context,
  ways: string,
): Promise<string> {
  if (isInteractive === false) return notEmpty(await firstLine(stdin, signal))
  const typed = await prompt(`Password of ${name}: `)
  if (typed === undefined)
    throw new UsageError(`standard input is not a terminal to type the password of ${name} on: ${ways}`)
  const again = await prompt(`Type password of ${name} again for confirmation: `)
  if (typed !== again) throw new UsageError('the passwords differ')
  return notEmpty(typed)
}

function notEmpty(password: string): string {
  if (password !== '') return password
  throw new UsageError('the password must not be empty')
}

/** Deletes a user. */
export const userDeleteCommand = defineRpc({
  name: 'user delete',
  usage: 'NAME',
  summary: 'delete a user and invalidate its tokens',
  flags: {},
  arity: [1, 1],
  method: methods.Auth.UserDelete,
  request: ({ args: [name] }) => ({ name }),
  text: (_, { args: [name] }) => `User ${name} deleted`,
})

/** Lists the users. */
export const userListCommand = defineRpc({
  name: 'user list',
  usage: '',
  summary: 'list the names of all users',
  flags: {},
  arity: [0, 0],
  method: methods.Auth.UserList,
  request: () => ({}),
  text: ({ users }) => (users.length === 0 ? undefined : users.join('\n')),
})

/** Shows a user. */
export const userGetCommand = defineCommand({
  name: 'user get',
  usage: 'NAME',
  summary: 'show the roles of a user',
  flags: { detail: { type: 'boolean', help: 'also the permissions of the roles' } },
  arity: [1, 1],
  async run({ client, output, signal }, { flags, args: [name = ''] }) {
    const etcd = client()
    const message = await unary(etcd, methods.Auth.UserGet, { name }, { signal })
    const text = `User: ${name}\nRoles:${message.roles.map((role) => ` ${role}`).join('')}`
    if (flags.detail !== true) {
      await print(output, { type: 'AuthUserGetResponse', message, text })
      return 0
    }
    if (output.format !== 'json' && output.format !== 'fields') await output.line(`User: ${name}`)
    for (const role of message.roles) {
      const detail = await unary(etcd, methods.Auth.RoleGet, { role }, { signal })
      await print(output, { type: 'AuthRoleGetResponse', message: detail, text: `\n${roleText(role, detail.perm)}` })
    }
    return 0
  },
})

/** Grants a role. */
export const userGrantRoleCommand = defineRpc({
  name: 'user grant-role',
  usage: 'USER ROLE',
  summary: 'grant a role to a user',
  flags: {},
  arity: [2, 2],
  method: methods.Auth.UserGrantRole,
  request: ({ args: [user, role] }) => ({ user, role }),
  text: (_, { args: [user, role] }) => `Role ${role} is granted to user ${user}`,
})

/** Revokes a role. */
export const userRevokeRoleCommand = defineRpc({
  name: 'user revoke-role',
  usage: 'USER ROLE',
  summary: 'revoke a role from a user',
  flags: {},
  arity: [2, 2],
  method: methods.Auth.UserRevokeRole,
  request: ({ args: [name, role] }) => ({ name, role }),
  text: (_, { args: [user, role] }) => `Role ${role} is revoked from user ${user}`,
})
