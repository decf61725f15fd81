import { createPrivateKey } from 'node:crypto'
import { readFileSync, statSync } from 'node:fs'
import { createSecureContext, type SecureContext } from 'node:tls'
import { types } from 'node:util'
import { InvalidArgumentError } from '../core/errors.js'
import { messageOf } from '../core/thrown.js'
import { assertKnownOptions, describe } from '../core/validate.js'

/** TLS material: the path of a PEM file, or its content as text or bytes. */
export type Pem = string | Uint8Array

/**
 * TLS options for `https` and `unixs` endpoints. Files are read again when they change, so that renewed certificates are used by
 * new connections.
 */
export interface TlsOptions {
  /** The certificate authorities that members' certificates are verified with. @default the system's */
  readonly ca?: Pem | undefined
  /**
   * The client certificate; requires `key`. A member with authentication takes its common name for the user, so that no
   * password is needed.
   */
  readonly cert?: Pem | undefined
  /** The private key of `cert`. */
  readonly key?: Pem | undefined
  /** The passphrase of an encrypted `key`. */
  readonly passphrase?: string | undefined
  /** The host name that members' certificates are verified for. @default the host of the endpoint */
  readonly servername?: string | undefined
  /**
   * Disables the verification of members' certificates, which permits man-in-the-middle attacks. For tests only.
   * @default false
   */
  readonly dangerouslySkipVerification?: boolean | undefined
}

const names = ['ca', 'cert', 'key', 'passphrase', 'servername', 'dangerouslySkipVerification'] as const

/** The credentials of one connection. */
export interface Credentials {
  /** `undefined` without TLS. */
  readonly tls: { readonly secureContext: SecureContext; readonly rejectUnauthorized: boolean } | undefined
}

const plain: Credentials = { tls: undefined }

/** Credentials for `http` and `unix` endpoints. */
export function plainCredentials(): Credentials {
  return plain
}

/**
 * TLS material and the credentials created from it. Changed files are read again, so that new connections use renewed
 * certificates; open connections are not affected. The constructor throws `InvalidArgumentError`, without key material in its
 * message, for unusable material. If a renewal is unusable, the previous credentials remain in use.
 */
export class TlsMaterial {
  readonly #options: TlsOptions
  readonly #paths: readonly string[]
  #stamp: string
  #credentials: Credentials | undefined

  constructor(options: TlsOptions) {
    checkTlsOptions(options)
    this.#options = options
    this.#paths = [options.ca, options.cert, options.key].filter(isPath)
    this.#stamp = stampOf(this.#paths)
    // Without material there is nothing to check, and loading the system's certificates takes 20 ms.
    if (Object.keys(options).length > 0) this.#credentials = createCredentials(options)
  }

  /** The credentials for a new connection; the same object until a file changes. */
  credentials(): Credentials {
    const stamp = stampOf(this.#paths)
    if (this.#credentials === undefined) this.#credentials = createCredentials(this.#options)
    if (stamp === this.#stamp) return this.#credentials
    try {
      this.#credentials = createCredentials(this.#options)
      this.#stamp = stamp
    } catch {
      // The renewal is incomplete: the next connection tries again.
    }
    return this.#credentials
  }
}

function checkTlsOptions(options: TlsOptions): void {
  if (typeof options !== 'object' || options === null) {
    throw new InvalidArgumentError(`\`tls\` must be an object, got ${describe(options)}`)
  }
  assertKnownOptions('tls', options, names)
  if ((options.cert === undefined) !== (options.key === undefined)) {
    throw new InvalidArgumentError('`tls.cert` and `tls.key` are required together: one of them is missing')
  }
  for (const name of ['passphrase', 'servername'] as const) {
    const value: unknown = options[name]
    if (value === undefined || (typeof value === 'string' && value !== '')) continue
    if (value === '') throw new InvalidArgumentError(`\`tls.${name}\` must not be empty: leave it out`)
    throw new InvalidArgumentError(`\`tls.${name}\` must be a string, got ${typeof value}`)
  }
  const skip: unknown = options.dangerouslySkipVerification
  if (skip === undefined || typeof skip === 'boolean') return
  throw new InvalidArgumentError(`\`tls.dangerouslySkipVerification\` must be true or false, got ${describe(skip)}`)
}

function createCredentials({ ca, cert, key, passphrase, dangerouslySkipVerification }: TlsOptions): Credentials {
  const [caPem, certPem] = [pem('tls.ca', ca), pem('tls.cert', cert)]
  const keyPem = decrypted(pem('tls.key', key), passphrase)
  try {
    const rejectUnauthorized = dangerouslySkipVerification !== true
    const secureContext = createSecureContext({ ca: caPem, cert: certPem, key: keyPem })
    return { tls: { secureContext, rejectUnauthorized } }
  } catch (cause) {
    throw new InvalidArgumentError(`\`tls\` is invalid: ${messageOf(cause)}`)
  }
}

function decrypted(keyPem: Buffer | undefined, passphrase: string | undefined): Buffer | undefined {
  if (keyPem === undefined) return undefined
  try {
    const key = createPrivateKey({ key: keyPem, passphrase })
    return Buffer.from(key.export({ type: 'pkcs8', format: 'pem' }))
  } catch (cause) {
    const hint = passphrase === undefined ? '' : ' or `tls.passphrase` is wrong'
    throw new InvalidArgumentError(`\`tls.key\` is invalid${hint}: ${messageOf(cause)}`)
  }
}

function pem(name: string, value: Pem | undefined): Buffer | undefined {
  if (value === undefined) return undefined
  if (types.isUint8Array(value)) return pemBytes(name, Buffer.from(value))
  if (typeof value !== 'string') {
    throw new InvalidArgumentError(`\`${name}\` must be a path, or PEM as text or bytes, got ${describe(value)}`)
  }
  if (!isPath(value)) return Buffer.from(value)
  return pemBytes(name, contents(name, value))
}

/** OpenSSL silently ignores a certificate authority that is not PEM, and then every certificate fails verification. */
function pemBytes(name: string, bytes: Buffer): Buffer {
  if (bytes.includes('-----BEGIN')) return bytes
  throw new InvalidArgumentError(`\`${name}\` must be PEM (-----BEGIN …), got other bytes`)
}

function contents(name: string, path: string): Buffer {
  try {
    return readFileSync(path)
  } catch (cause) {
    throw new InvalidArgumentError(`\`${name}\` cannot be read: ${messageOf(cause)}`)
  }
}

function isPath(value: Pem | undefined): value is string {
  return typeof value === 'string' && !value.includes('-----BEGIN')
}

/** The modification times of the files. A missing or unreadable file, for example during a renewal, counts as changed. */
function stampOf(paths: readonly string[]): string {
  return paths.map(writtenAt).join()
}

function writtenAt(path: string): number | string {
  try {
    return statSync(path).mtimeMs
  } catch (error) {
    return messageOf(error)
  }
}
