import { readFileSync } from 'node:fs'
import { ChannelCredentials } from '@grpc/grpc-js'
import { InvalidArgumentError } from '../core/errors.js'
import { assertKnownOptions, describe } from '../core/validate.js'

/** TLS material: a path, or the PEM itself as text or bytes. */
export type Pem = string | Uint8Array

/** How `https` and `unixs` endpoints are verified, and who this client is to them. */
export interface TlsOptions {
  /** The certificate authority that the members' certificates must come from. @default the system's */
  readonly ca?: Pem | undefined
  /** This client's certificate; goes with `key`. */
  readonly cert?: Pem | undefined
  /** The key of `cert`. */
  readonly key?: Pem | undefined
}

const names = ['ca', 'cert', 'key'] as const

/** Reads and checks TLS options; errors name the option and never hold key material. */
export function tlsCredentials(options: TlsOptions): ChannelCredentials {
  assertKnownOptions('tls', options, names)
  const { ca, cert, key } = options
  if ((cert === undefined) !== (key === undefined)) {
    throw new InvalidArgumentError('`tls.cert` and `tls.key` go together: one of them is missing')
  }
  const [caPem, certPem, keyPem] = [pem('tls.ca', ca), pem('tls.cert', cert), pem('tls.key', key)]
  try {
    return ChannelCredentials.createSsl(caPem ?? null, keyPem ?? null, certPem ?? null)
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new InvalidArgumentError(`\`tls\` is not usable: ${reason}`)
  }
}

/** Credentials for `http` and `unix` endpoints. */
export function plainCredentials(): ChannelCredentials {
  return ChannelCredentials.createInsecure()
}

function pem(name: string, value: Pem | undefined): Buffer | undefined {
  if (value === undefined) return undefined
  if (value instanceof Uint8Array) return Buffer.from(value)
  if (typeof value !== 'string') {
    throw new InvalidArgumentError(`\`${name}\` must be a path, a PEM text or bytes, got ${describe(value)}`)
  }
  return value.includes('-----BEGIN') ? Buffer.from(value) : readPem(name, value)
}

function readPem(name: string, path: string): Buffer {
  try {
    return readFileSync(path)
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new InvalidArgumentError(`\`${name}\` cannot be read: ${reason}`)
  }
}
