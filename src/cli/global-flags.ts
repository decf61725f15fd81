import { optionsFromEnvironment } from '../client/environment.js'
import { type ClientOptions, InvalidArgumentError } from '../index.js'
import type { Flags, FlagValues } from './command.js'
import type { Format } from './output.js'
import { UsageError } from './usage-error.js'

/** The flags of every command. Most have the name and meaning of etcdctl's. */
export const globalFlags = {
  endpoints: { type: 'string', value: 'URLS', help: 'comma-separated endpoints (127.0.0.1:2379)' },
  user: {
    type: 'string',
    value: 'NAME[:PASSWORD]',
    help: 'user; the whole value is the name if the password is given separately',
  },
  password: { type: 'string', value: 'PASSWORD', help: 'password of the user' },
  'auth-jwt-token': { type: 'string', value: 'TOKEN', help: 'token, instead of user and password' },
  cacert: { type: 'string', value: 'FILE', help: 'CA certificate to verify the members' },
  cert: { type: 'string', value: 'FILE', help: 'client certificate' },
  key: { type: 'string', value: 'FILE', help: 'key of the client certificate' },
  'insecure-skip-tls-verify': { type: 'boolean', help: 'accept any certificate (for tests only)' },
  'discovery-srv': { type: 'string', value: 'DOMAIN', help: 'discover the members by DNS SRV records' },
  'discovery-srv-name': { type: 'string', value: 'NAME', help: 'service name of the SRV records' },
  'dial-timeout': { type: 'string', value: 'DURATION', help: 'time limit for connecting (5s)' },
  'command-timeout': { type: 'string', value: 'DURATION', help: 'time limit per call (10s)' },
  'keepalive-time': { type: 'string', value: 'DURATION', help: 'idle time before a keepalive ping (10s)' },
  'keepalive-timeout': { type: 'string', value: 'DURATION', help: 'time limit for the answer to a ping (5s)' },
  output: { type: 'string', short: 'o', value: 'FORMAT', help: 'simple, table or json (simple)' },
  'write-out': { type: 'string', short: 'w', value: 'FORMAT', help: 'alias of --output, as in etcdctl' },
  json: { type: 'boolean', help: 'alias of --output json' },
  help: { type: 'boolean', short: 'h', help: 'show help' },
  version: { type: 'boolean', help: 'show the version' },
} as const satisfies Flags

type GlobalValues = FlagValues<typeof globalFlags>

const formats: readonly Format[] = ['simple', 'table', 'json']

/** Flags with an environment variable of etcdctl. */
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

/** The environment, in which flags replace their variables. */
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

/** The options of a client. Errors name a flag if its value came from the flag. */
export function clientOptionsOf(flags: GlobalValues, env: Readonly<Record<string, string | undefined>>): ClientOptions {
  try {
    return optionsFromEnvironment(environmentWith(flags, env))
  } catch (error) {
    if (!(error instanceof InvalidArgumentError)) throw error
    throw new UsageError(inEnvironment.reduce((text, name) => nameAsFlag(text, name, flags), error.message))
  }
}

/** The requested output format. */
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
