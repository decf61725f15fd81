import { optionsFromEnvironment } from '../client/environment.js'
import { type ClientOptions, InvalidArgumentError } from '../index.js'
import type { Flags, FlagValues } from './command.js'
import type { Format } from './output.js'
import { UsageError } from './usage-error.js'

/** The flags of every command. Most have the name and the meaning that they have in etcdctl. */
export const globalFlags = {
  endpoints: { type: 'string', value: 'URLS', help: 'the members, with commas between (127.0.0.1:2379)' },
  user: {
    type: 'string',
    value: 'NAME[:PASSWORD]',
    help: 'who to log in as; all of it is the name where the password is given separately',
  },
  password: { type: 'string', value: 'PASSWORD', help: 'password of the user' },
  'auth-jwt-token': { type: 'string', value: 'TOKEN', help: 'a token, in place of user and password' },
  cacert: { type: 'string', value: 'FILE', help: 'authority that the members’ certificates are checked against' },
  cert: { type: 'string', value: 'FILE', help: 'certificate of this client' },
  key: { type: 'string', value: 'FILE', help: 'key of that certificate' },
  'insecure-skip-tls-verify': { type: 'boolean', help: 'accept any certificate (for tests only)' },
  'discovery-srv': { type: 'string', value: 'DOMAIN', help: 'find the members by DNS SRV records' },
  'discovery-srv-name': { type: 'string', value: 'NAME', help: 'service name in those records' },
  'dial-timeout': { type: 'string', value: 'DURATION', help: 'how long to wait for a connection (5s)' },
  'command-timeout': { type: 'string', value: 'DURATION', help: 'how long a call may take (10s)' },
  'keepalive-time': { type: 'string', value: 'DURATION', help: 'silence before a connection is pinged (10s)' },
  'keepalive-timeout': { type: 'string', value: 'DURATION', help: 'how long a ping may stay unanswered (5s)' },
  output: { type: 'string', short: 'o', value: 'FORMAT', help: 'simple, table or json (simple)' },
  'write-out': { type: 'string', short: 'w', value: 'FORMAT', help: 'same as --output, as etcdctl calls it' },
  json: { type: 'boolean', help: 'same as --output json' },
  help: { type: 'boolean', short: 'h', help: 'this help' },
  version: { type: 'boolean', help: 'the version of the program' },
} as const satisfies Flags

type GlobalValues = FlagValues<typeof globalFlags>

const formats: readonly Format[] = ['simple', 'table', 'json']

/** Flags that stand for one of etcdctl's variables. */
const inEnvironment = [
  'endpoints',
  'user',
  'password',
  'auth-jwt-token',
  'cacert',
  'cert',
  'key',
  'insecure-skip-tls-verify',
  'discovery-srv',
  'discovery-srv-name',
  'dial-timeout',
  'command-timeout',
  'keepalive-time',
  'keepalive-timeout',
] as const

/** The environment, with the flags in place of the variables that they stand for. */
export function environmentWith(
  flags: GlobalValues,
  env: Readonly<Record<string, string | undefined>>,
): Record<string, string | undefined> {
  const merged = { ...env }
  for (const name of inEnvironment) {
    const value = flags[name]
    if (value !== undefined) merged[variableOf(name)] = String(value)
  }
  if (flags.user !== undefined) merged.ETCDCTL_AUTH_JWT_TOKEN = flags['auth-jwt-token']
  if (flags.endpoints !== undefined) merged.ETCDCTL_DISCOVERY_SRV = flags['discovery-srv']
  return merged
}

/** What a client of the cluster is made with. Mistakes are told in the words that they were made in. */
export function clientOptionsOf(flags: GlobalValues, env: Readonly<Record<string, string | undefined>>): ClientOptions {
  try {
    return optionsFromEnvironment(environmentWith(flags, env))
  } catch (error) {
    if (!(error instanceof InvalidArgumentError)) throw error
    throw new UsageError(inEnvironment.reduce((text, name) => nameAsFlag(text, name, flags), error.message))
  }
}

/** How results are to be written. */
export function formatOf(flags: GlobalValues, env: Readonly<Record<string, string | undefined>>): Format {
  if (flags.json === true) return 'json'
  const wanted = flags.output ?? flags['write-out'] ?? env.ETCDCTL_WRITE_OUT ?? 'simple'
  const format = formats.find((name) => name === wanted)
  if (format !== undefined) return format
  throw new UsageError(`--output must be one of ${formats.join(', ')}, got ${JSON.stringify(wanted)}`)
}

function variableOf(flag: string): string {
  return `ETCDCTL_${flag.replaceAll('-', '_').toUpperCase()}`
}

function nameAsFlag(text: string, name: (typeof inEnvironment)[number], flags: GlobalValues): string {
  return flags[name] === undefined ? text : text.replace(new RegExp(`\\b${variableOf(name)}\\b`), `--${name}`)
}
