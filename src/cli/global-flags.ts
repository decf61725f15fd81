import { optionsFromEnvironment } from '../client/environment.js'
import { type ClientOptions, InvalidArgumentError } from '../index.js'
import type { Flag, Flags, FlagValues } from './command.js'
import type { Format, OutputOptions } from './output.js'
import { UsageError } from './usage-error.js'

const outputFormats: readonly Format[] = ['simple', 'table', 'json']
const formats: readonly Format[] = [...outputFormats, 'fields']

/** The flags of every command. Most have the name and meaning of etcdctl's. */
export const globalFlags = {
  endpoints: {
    type: 'string',
    value: 'URLS',
    option: 'endpoints',
    help: 'comma-separated endpoints (127.0.0.1:2379)',
  },
  user: {
    type: 'string',
    value: 'NAME[:PASSWORD]',
    option: 'auth.username',
    help: 'user; prompts for a missing password on a terminal',
  },
  password: {
    type: 'string',
    value: 'PASSWORD',
    option: 'auth.password',
    help: 'password; the whole value of --user is then the name',
  },
  'auth-jwt-token': {
    type: 'string',
    value: 'TOKEN',
    option: 'auth.token',
    help: 'token, instead of user and password',
  },
  cacert: { type: 'string', value: 'FILE', option: 'tls.ca', help: 'CA certificate to verify the members' },
  cert: { type: 'string', value: 'FILE', option: 'tls.cert', help: 'client certificate' },
  key: { type: 'string', value: 'FILE', option: 'tls.key', help: 'key of the client certificate' },
  'insecure-skip-tls-verify': { type: 'boolean', help: 'accept any certificate (for tests only)' },
  'insecure-transport': { type: 'boolean', help: 'plain text for endpoints without a scheme; =false for TLS (true)' },
  'discovery-srv': {
    type: 'string',
    short: 'd',
    value: 'DOMAIN',
    option: 'discovery.domain',
    help: 'discover the members by DNS SRV records',
  },
  'discovery-srv-name': {
    type: 'string',
    value: 'NAME',
    option: 'discovery.name',
    help: 'service name of the SRV records',
  },
  'dial-timeout': {
    type: 'string',
    value: 'DURATION',
    option: 'connectTimeoutMs',
    help: 'time limit for connecting (5s)',
  },
  'command-timeout': { type: 'string', value: 'DURATION', option: 'timeoutMs', help: 'time limit per call (10s)' },
  'keepalive-time': {
    type: 'string',
    value: 'DURATION',
    option: 'keepaliveMs',
    help: 'idle time before a keepalive ping (10s)',
  },
  'keepalive-timeout': {
    type: 'string',
    value: 'DURATION',
    option: 'keepaliveTimeoutMs',
    help: 'time limit for the answer to a ping (5s)',
  },
  'write-out': {
    type: 'string',
    short: 'w',
    value: 'FORMAT',
    choices: formats,
    help: 'output in the forms of etcdctl (simple)',
  },
  output: {
    type: 'string',
    short: 'o',
    value: 'FORMAT',
    choices: outputFormats,
    help: 'output in the forms of etcdkit (simple)',
  },
  json: { type: 'boolean', help: 'alias of --output json' },
  hex: { type: 'boolean', help: 'print keys, values and IDs in hexadecimal' },
  help: { type: 'boolean', short: 'h', help: 'show help' },
  version: { type: 'boolean', help: 'show the version' },
} as const satisfies Flags

type GlobalValues = FlagValues<typeof globalFlags>
type Environment = Readonly<Record<string, string | undefined>>

/** Flags without an environment variable of etcdctl. */
const notInEnvironment: ReadonlySet<string> = new Set(['output', 'json', 'help', 'version'])
const inEnvironment = Object.keys(globalFlags).filter(
  (name): name is keyof typeof globalFlags => !notInEnvironment.has(name),
)

/** The environment, in which flags replace their variables. */
export function environmentWith(flags: GlobalValues, env: Environment): Record<string, string | undefined> {
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
export function clientOptionsOf(flags: GlobalValues, env: Environment): ClientOptions {
  try {
    const merged = environmentWith(flags, env)
    const options = optionsFromEnvironment(merged)
    // The library takes endpoints without a scheme for TLS if it has options for TLS.
    const isTls = merged.ETCDCTL_INSECURE_TRANSPORT === 'false'
    return isTls ? { ...options, tls: options.tls ?? {} } : options
  } catch (error) {
    if (!(error instanceof InvalidArgumentError)) throw error
    throw new UsageError(inEnvironment.reduce((text, name) => nameAsFlag(text, name, flags), error.message))
  }
}

/** The requested output. */
export function outputOptionsOf(flags: GlobalValues, env: Environment): OutputOptions {
  const hex = flags.hex ?? env.ETCDCTL_HEX === 'true'
  if (flags.json === true) return { format: 'json', isEtcdctl: false, hex }
  if (flags.output !== undefined)
    return { format: formatOf('--output', flags.output, outputFormats), isEtcdctl: false, hex }
  const wanted = flags['write-out'] ?? env.ETCDCTL_WRITE_OUT ?? 'simple'
  const source = flags['write-out'] === undefined ? 'ETCDCTL_WRITE_OUT' : '--write-out'
  return { format: formatOf(source, wanted, formats), isEtcdctl: true, hex }
}

function formatOf(source: string, wanted: string, known: readonly Format[]): Format {
  const format = known.find((name) => name === wanted)
  if (format !== undefined) return format
  throw new UsageError(`${source} must be one of ${known.join(', ')}, got ${JSON.stringify(wanted)}`)
}

/**
 * The names on the command line of the library's options: those of flags, of variables whose value is used, and of
 * arguments.
 */
export function optionNames(
  command: { readonly flags: Flags; readonly operands?: Readonly<Record<string, string>> | undefined } | undefined,
  globals: GlobalValues,
  env: Environment,
): ReadonlyMap<string, string> {
  const names = new Map<string, string>()
  for (const [name, { option }] of Object.entries<Flag>({ ...globalFlags, ...command?.flags })) {
    if (option !== undefined) names.set(option, `--${name}`)
  }
  for (const name of inEnvironment) {
    const { option }: Flag = globalFlags[name]
    const isFromVariable = globals[name] === undefined && env[variableOf(name)] !== undefined
    if (option !== undefined && isFromVariable) names.set(option, variableOf(name))
  }
  for (const [option, operand] of Object.entries(command?.operands ?? {})) names.set(option, operand)
  return names
}

function variableOf(flag: string): string {
  return `ETCDCTL_${flag.replaceAll('-', '_').toUpperCase()}`
}

function nameAsFlag(text: string, name: keyof GlobalValues, flags: GlobalValues): string {
  return flags[name] === undefined ? text : text.replace(new RegExp(`\\b${variableOf(name)}\\b`), `--${name}`)
}
