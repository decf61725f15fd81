import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  sign,
} from 'node:crypto'
import { isIP } from 'node:net'
import {
  bitString,
  boolean,
  implicitly,
  integer,
  objectId,
  octetString,
  sequence,
  set,
  tagged,
  time,
  utf8String,
} from './der.js'

/** Options of a certificate. */
export interface CertificateOptions {
  /** The common name, which etcd uses as the user name of client certificates. @default none */
  readonly commonName?: string
  /** Host names and IP addresses of the server. @default 127.0.0.1, ::1 and localhost */
  readonly hosts?: readonly string[]
  /** Start of validity. @default a day ago */
  readonly notBefore?: Date
  /** End of validity. @default in ten years */
  readonly notAfter?: Date
}

/** A certificate and its private key, both in PEM. */
export interface Certificate {
  readonly cert: string
  readonly key: string
}

const dayMs = 24 * 60 * 60 * 1000

const oid = {
  ecdsaWithSha256: '1.2.840.10045.4.3.2',
  organization: '2.5.4.10',
  commonName: '2.5.4.3',
  subjectKeyIdentifier: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  authorityKeyIdentifier: '2.5.29.35',
  extendedKeyUsage: '2.5.29.37',
  serverAuth: '1.3.6.1.5.5.7.3.1',
  clientAuth: '1.3.6.1.5.5.7.3.2',
}

/** A certificate authority for tests. It signs certificates for servers and clients with EC P-256 keys. */
export class CertificateAuthority {
  /** The authority's own certificate in PEM. */
  readonly cert: string
  readonly #name: Buffer
  readonly #keys: KeyPair

  /** @param own the certificate and key of an authority with this name, to continue it; new ones by default */
  constructor(commonName = 'etcdkit test authority', own?: Certificate) {
    this.#name = distinguishedName(commonName)
    this.#keys = own === undefined ? newKeys() : readKeys(own.key)
    this.cert = own?.cert ?? this.#signOwn()
  }

  /** The authority's own key in PEM. */
  get key(): string {
    return keyToPem(this.#keys.privateKey)
  }
  /** Issues a certificate that both servers and clients can use. */
  issue(options: CertificateOptions = {}): Certificate {
    const { publicKey, privateKey } = newKeys()
    const { commonName, hosts = ['127.0.0.1', '::1', 'localhost'] } = options
    const extensions = [
      // digitalSignature
      extension(oid.keyUsage, bitString(Buffer.from([0b1000_0000]), 7), true),
      // etcd's JSON gateway connects to its own server with the server's certificate.
      extension(oid.extendedKeyUsage, sequence(objectId(oid.serverAuth), objectId(oid.clientAuth))),
      extension(oid.subjectAltName, sequence(...hosts.map(alternativeName))),
      extension(oid.authorityKeyIdentifier, sequence(implicitly(0, keyIdentifier(this.#keys.publicKey)))),
    ]
    return {
      cert: this.#sign(distinguishedName(commonName), publicKey, extensions, options),
      key: keyToPem(privateKey),
    }
  }

  #signOwn(): string {
    const extensions = [
      extension(oid.basicConstraints, sequence(boolean(true)), true),
      // keyCertSign and cRLSign
      extension(oid.keyUsage, bitString(Buffer.from([0b0000_0110]), 1), true),
      extension(oid.subjectKeyIdentifier, octetString(keyIdentifier(this.#keys.publicKey))),
    ]
    return this.#sign(this.#name, this.#keys.publicKey, extensions, {})
  }

  #sign(subject: Buffer, publicKey: KeyObject, extensions: readonly Buffer[], validity: CertificateOptions): string {
    const { notBefore = new Date(Date.now() - dayMs), notAfter = new Date(Date.now() + 3650 * dayMs) } = validity
    const algorithm = sequence(objectId(oid.ecdsaWithSha256))
    const unsigned = sequence(
      tagged(0, integer(Buffer.from([2]))),
      integer(serialNumber()),
      algorithm,
      this.#name,
      sequence(time(notBefore), time(notAfter)),
      subject,
      publicKey.export({ type: 'spki', format: 'der' }),
      tagged(3, sequence(...extensions)),
    )
    const signature = sign('sha256', unsigned, this.#keys.privateKey)
    return toPem(sequence(unsigned, algorithm, bitString(signature)))
  }
}

interface KeyPair {
  readonly publicKey: KeyObject
  readonly privateKey: KeyObject
}

function newKeys(): KeyPair {
  return generateKeyPairSync('ec', { namedCurve: 'P-256' })
}

function readKeys(key: string): KeyPair {
  return { publicKey: createPublicKey(key), privateKey: createPrivateKey(key) }
}

function keyToPem(key: KeyObject): string {
  return key.export({ type: 'pkcs8', format: 'pem' }).toString()
}

function serialNumber(): Buffer {
  const bytes = randomBytes(16)
  // A first byte that is neither zero nor negative keeps the number's encoding as short as DER demands.
  bytes[0] = 0x40 | ((bytes[0] ?? 0) & 0x3f)
  return bytes
}

function distinguishedName(commonName: string | undefined): Buffer {
  const attribute = (id: string, text: string) => set(sequence(objectId(id), utf8String(text)))
  const names = [attribute(oid.organization, 'etcdkit')]
  if (commonName !== undefined) names.push(attribute(oid.commonName, commonName))
  return sequence(...names)
}

function extension(id: string, value: Buffer, isCritical = false): Buffer {
  return sequence(objectId(id), ...(isCritical ? [boolean(true)] : []), octetString(value))
}

function alternativeName(host: string): Buffer {
  return isIP(host) === 0 ? implicitly(2, Buffer.from(host, 'latin1')) : implicitly(7, addressBytes(host))
}

function keyIdentifier(publicKey: KeyObject): Buffer {
  return createHash('sha1')
    .update(publicKey.export({ type: 'spki', format: 'der' }))
    .digest()
}

function toPem(bytes: Buffer): string {
  const lines = bytes.toString('base64').match(/.{1,64}/g) ?? []
  return ['-----BEGIN CERTIFICATE-----', ...lines, '-----END CERTIFICATE-----', ''].join('\n')
}

function addressBytes(address: string): Buffer {
  if (isIP(address) === 4) return Buffer.from(address.split('.').map(Number))
  const [head = '', tail = ''] = address.split('::')
  const groups = (text: string) => (text === '' ? [] : text.split(':').map((group) => Number.parseInt(group, 16)))
  const [left, right] = [groups(head), groups(tail)]
  const middle = Array.from({ length: 8 - left.length - right.length }, () => 0)
  return Buffer.from([...left, ...middle, ...right].flatMap((group) => [group >> 8, group & 0xff]))
}
