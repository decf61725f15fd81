import { methods } from '../../protobuf/methods.js'
import { defineRpc } from '../wire/rpc-command.js'

/** Enables authentication. */
export const authEnableCommand = defineRpc({
  name: 'auth enable',
  usage: '',
  summary: 'enable authentication; needs a user root with the role root',
  details: ['Afterwards every client needs a user: see etcdkit user add, user grant-role and role grant-permission.'],
  flags: {},
  arity: [0, 0],
  method: methods.Auth.AuthEnable,
  request: () => ({}),
  text: () => 'Authentication Enabled',
})

/** Disables authentication. */
export const authDisableCommand = defineRpc({
  name: 'auth disable',
  usage: '',
  summary: 'disable authentication; everyone can then read and write every key',
  flags: {},
  arity: [0, 0],
  method: methods.Auth.AuthDisable,
  request: () => ({}),
  text: () => 'Authentication Disabled',
})

/** Shows whether authentication is enabled. */
export const authStatusCommand = defineRpc({
  name: 'auth status',
  usage: '',
  summary: 'show whether authentication is enabled (etcd 3.5 or later)',
  flags: {},
  arity: [0, 0],
  method: methods.Auth.AuthStatus,
  request: () => ({}),
  text: ({ enabled, authRevision }) => `Authentication Status: ${enabled}\nAuthRevision: ${authRevision}`,
})
