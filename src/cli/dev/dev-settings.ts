import type { EtcdClusterOptions } from '../../testing/index.js'
import type { Flags, FlagValues } from '../command.js'
import { integerFlag } from '../units.js'
import { UsageError } from '../usage-error.js'

export const devFlags = {
  members: { type: 'string', value: 'N', help: 'number of members (1)' },
  etcd: { type: 'string', value: 'VERSION', help: 'etcd version, such as 3.7 or 3.5.30 (an installed one, or 3.5)' },
  port: { type: 'string', value: 'PORT', help: 'client port of the first member; 0: any free ports (2379)' },
  'data-dir': {
    type: 'string',
    value: 'DIR',
    help: 'keep the cluster in this directory, and continue with it next time',
  },
  auth: { type: 'boolean', help: 'enable authentication, with the user root' },
  'root-password': { type: 'string', value: 'PASSWORD', help: 'password of the user root, with --auth (root)' },
  tls: { type: 'boolean', help: 'serve clients over TLS' },
  'client-cert-auth': { type: 'boolean', help: 'serve clients over TLS, and require certificates of them' },
} as const satisfies Flags

const defaultPort = '2379'
const maxMembers = 9

/** The options of the cluster that the flags describe, without its version. */
export function clusterOptions(flags: FlagValues<typeof devFlags>): EtcdClusterOptions {
  if (flags['root-password'] !== undefined && flags.auth !== true) throw new UsageError('--root-password needs --auth')
  const port = integerFlag('port', flags.port ?? defaultPort, 0)
  return {
    ...(flags.members === undefined ? {} : { members: memberCount(flags.members) }),
    port: port === 0 ? undefined : port,
    dataDir: flags['data-dir'],
    auth: flags.auth === true ? { rootPassword: flags['root-password'] ?? 'root' } : undefined,
    tls: flags['client-cert-auth'] === true ? { clientCertAuth: true } : flags.tls === true,
    // Failover takes as long as with the defaults of etcd.
    timers: 'default',
  }
}

function memberCount(text: string): number {
  const count = integerFlag('members', text)
  if (count <= maxMembers) return count
  throw new UsageError(`--members must be at most ${maxMembers}, got ${text}`)
}

const flagNames: Readonly<Record<string, string>> = {
  auth: '--auth',
  members: '--members',
  port: '--port',
  version: '--etcd',
}

/** A message of the cluster in the names of the command line. */
export function inFlagNames(message: string): string {
  return message.replace(/`(\w+)`/g, (quoted, name: string) => flagNames[name] ?? quoted)
}
