import { InvalidArgumentError } from '../core/errors.js'
import { goDurationMs } from '../core/go-duration.js'
import { describe } from '../core/validate.js'
import type { ClientOptions } from './options.js'

type Environment = Readonly<Record<string, string | undefined>>

const variables = [
  'ETCDCTL_AUTH_JWT_TOKEN',
  'ETCDCTL_CACERT',
  'ETCDCTL_CERT',
  'ETCDCTL_COMMAND_TIMEOUT',
  'ETCDCTL_DIAL_TIMEOUT',
  'ETCDCTL_DISCOVERY_SRV',
  'ETCDCTL_DISCOVERY_SRV_NAME',
  'ETCDCTL_ENDPOINTS',
  'ETCDCTL_INSECURE_SKIP_TLS_VERIFY',
  'ETCDCTL_KEEPALIVE_TIME',
  'ETCDCTL_KEEPALIVE_TIMEOUT',
  'ETCDCTL_KEY',
  'ETCDCTL_PASSWORD',
  'ETCDCTL_USER',
] as const

/** Converts etcdctl's environment variables to client options. Empty variables count as unset, as in etcdctl. */
export function optionsFromEnvironment(given: Environment): ClientOptions {
  assertTexts(given)
  const env: Environment = Object.fromEntries(variables.map((name) => [name, given[name] || undefined]))
  const domain = env.ETCDCTL_DISCOVERY_SRV
  const endpoints = env.ETCDCTL_ENDPOINTS ?? '127.0.0.1:2379'
  return {
    ...(domain === undefined ? { endpoints } : { discovery: { domain, name: env.ETCDCTL_DISCOVERY_SRV_NAME } }),
    auth: authFrom(env),
    tls: tlsFrom(env),
    connectTimeoutMs: durationFrom(env, 'ETCDCTL_DIAL_TIMEOUT'),
    timeoutMs: durationFrom(env, 'ETCDCTL_COMMAND_TIMEOUT'),
    keepaliveMs: durationFrom(env, 'ETCDCTL_KEEPALIVE_TIME'),
    keepaliveTimeoutMs: durationFrom(env, 'ETCDCTL_KEEPALIVE_TIMEOUT'),
  }
}

/** Rejects what is no environment. The messages contain no value: it may be a password. */
function assertTexts(env: unknown): asserts env is Environment {
  if (typeof env !== 'object' || env === null)
    throw new InvalidArgumentError(`\`env\` must be an object, got ${describe(env)}`)
  const texts: Readonly<Record<string, unknown>> = { ...env }
  const wrong = variables.find((name) => texts[name] !== undefined && typeof texts[name] !== 'string')
  if (wrong !== undefined)
    throw new InvalidArgumentError(`\`env.${wrong}\` must be a string, got ${typeof texts[wrong]}`)
}

/**
 * As in etcdctl: if the password has a separate variable, the whole user variable is the name, colons included.
 * Otherwise the password follows the first colon.
 */
function authFrom({ ETCDCTL_USER: user, ETCDCTL_PASSWORD: password, ETCDCTL_AUTH_JWT_TOKEN: token }: Environment) {
  if (token !== undefined) return { token }
  if (user === undefined) return undefined
  if (password !== undefined) return { username: user, password }
  const colon = user.indexOf(':')
  if (colon < 0)
    throw new InvalidArgumentError('ETCDCTL_USER has no password: set ETCDCTL_PASSWORD, or write user:password')
  return { username: user.slice(0, colon), password: user.slice(colon + 1) }
}

function tlsFrom(env: Environment): ClientOptions['tls'] {
  const { ETCDCTL_CACERT: ca, ETCDCTL_CERT: cert, ETCDCTL_KEY: key } = env
  const skip = booleanFrom(env, 'ETCDCTL_INSECURE_SKIP_TLS_VERIFY') ?? false
  if (ca === undefined && cert === undefined && key === undefined && !skip) return undefined
  return { ca, cert, key, dangerouslySkipVerification: skip }
}

/** The texts of Go's `strconv.ParseBool()`. */
const booleans: ReadonlyMap<string, boolean> = new Map([
  ...['1', 't', 'T', 'true', 'True', 'TRUE'].map((text) => [text, true] as const),
  ...['0', 'f', 'F', 'false', 'False', 'FALSE'].map((text) => [text, false] as const),
])

function booleanFrom(env: Environment, name: string): boolean | undefined {
  const text = env[name]
  const value = booleans.get(text ?? '')
  if (text === undefined || value !== undefined) return value
  throw new InvalidArgumentError(`${name} must be true or false, got ${describe(text)}`)
}

function durationFrom(env: Environment, name: string): number | undefined {
  const text = env[name]
  return text === undefined ? undefined : goDurationMs(name, text)
}
