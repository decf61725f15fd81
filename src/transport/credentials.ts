import { createPrivateKey } from 'node:crypto'
import { readFileSync, statSync } from 'node:fs'
import { createSecureContext, type SecureContext } from 'node:tls'
import { types } from 'node:util'
import { InvalidArgumentError } from '../core/errors.js'
import { assertKnownOptions, describe } from '../core/validate.js'

/** TLS material: a path, or the PEM itself as text or bytes. */
export type Pem = string | Uint8Array

/** How `https` and `unixs` endpoints are verified, and who this client is to them. */
export interface TlsOptions {
  /** The certificate authority that the members' certificates must come from. @default the system's */
  readonly ca?: Pem | undefined
  /** This client's certificate; goes with `key`. Members that know its common name as a user need no password. */
  readonly cert?: Pem | undefined
  /** The key of `cert`. */
  readonly key?: Pem | undefined
  /** Decrypts `key`. */
  readonly passphrase?: string | undefined
  /** The name that the members' certificates must be for, in place of the host in their endpoint. */
  readonly servername?: string | undefined
  /**
   * Accepts any certificate of anybody: encryption without knowing to whom. For tests and nothing else.
   * @default false
   */
  readonly dangerouslySkipVerification?: boolean | undefined
}

const names = ['ca', 'cert', 'key', 'passphrase', 'servername', 'dangerouslySkipVerification'] as const

/** What a connection is made with. */
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
 * TLS material and the credentials made of it. Files are read again when they have changed, so that connections made
 * after a renewal use the new certificates; those that are open go on. Material that is not usable at first is an
 * `InvalidArgumentError`, which never holds key material; later, the old one is kept until the files are good again.
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
    // Without material there is nothing to check, and the system's certificates take 20 ms to load.
    if (Object.keys(options).length > 0) this.#credentials = createCredentials(options)
  }

  /** The credentials for a new connection; the same object as long as no file has changed. */
  credentials(): Credentials {
    const stamp = stampOf(this.#paths)
    if (this.#credentials === undefined) this.#credentials = createCredentials(this.#options)
    if (stamp === this.#stamp) return this.#credentials
    try {
      this.#credentials = createCredentials(this.#options)
      this.#stamp = stamp
    } catch {
      // Half of the files are new, or one is half written: the next connection looks again.
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
    throw new InvalidArgumentError('`tls.cert` and `tls.key` go together: one of them is missing')
  }
  for (const name of ['passphrase', 'servername'] as const) {
    const value: unknown = options[name]
    if (value === undefined || typeof value === 'string') continue
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
    throw new InvalidArgumentError(`\`tls\` is not usable: ${messageOf(cause)}`)
  }
}

function decrypted(keyPem: Buffer | undefined, passphrase: string | undefined): Buffer | undefined {
  if (keyPem === undefined) return undefined
  try {
    const key = createPrivateKey({ key: keyPem, passphrase })
    return Buffer.from(key.export({ type: 'pkcs8', format: 'pem' }))
  } catch (cause) {
    const hint = passphrase === undefined ? '' : ' or `tls.passphrase` is wrong'
    throw new InvalidArgumentError(`\`tls.key\` is not usable${hint}: ${messageOf(cause)}`)
  }
}

function pem(name: string, value: Pem | undefined): Buffer | undefined {
  if (value === undefined) return undefined
  if (types.isUint8Array(value)) return pemBytes(name, Buffer.from(value))
  if (typeof value !== 'string') {
    throw new InvalidArgumentError(`\`${name}\` must be a path, a PEM text or bytes, got ${describe(value)}`)
  }
  if (!isPath(value)) return Buffer.from(value)
  return pemBytes(name, contents(name, value))
}

/** OpenSSL passes over an authority that is no PEM without a word, and no member's certificate is right then. */
function pemBytes(name: string, bytes: Buffer): Buffer {
  if (bytes.includes('-----BEGIN')) return bytes
  throw new InvalidArgumentError(
    `\`${name}\` must be PEM, which begins with -----BEGIN: these bytes are something else`,
  )
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

/** When the files were written last; one that is missing for a moment, during a renewal, or out of reach counts as changed. */
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

function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause)
}
