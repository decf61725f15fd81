import { sign, X509Certificate } from 'node:crypto'
import { bitString, integer, objectId, sequence, set, time, utf8String } from '../../src/testing/der.js'
import type { CertificateAuthority } from '../../src/testing/index.js'

const dayMs = 24 * 60 * 60 * 1000
const ecdsaWithSha256 = sequence(objectId('1.2.840.10045.4.3.2'))

/** A certificate revocation list in DER, as etcd takes it with `--client-crl-file`. */
export function revocationList(authority: CertificateAuthority, revoked: readonly string[]): Buffer {
  const now = new Date()
  const entries = revoked.map((cert) => sequence(integer(serialOf(cert)), time(now)))
  const unsigned = sequence(
    integer(Buffer.from([1])),
    ecdsaWithSha256,
    subjectOf(authority.cert),
    time(new Date(now.getTime() - dayMs)),
    time(new Date(now.getTime() + dayMs)),
    ...(entries.length === 0 ? [] : [sequence(...entries)]),
  )
  return sequence(unsigned, ecdsaWithSha256, bitString(sign('sha256', unsigned, authority.key)))
}

function serialOf(cert: string): Buffer {
  return Buffer.from(new X509Certificate(cert).serialNumber, 'hex')
}

/** The name of an authority, of an organization and a common name. */
function subjectOf(cert: string): Buffer {
  const { subject } = new X509Certificate(cert)
  const part = (name: string): string => new RegExp(`^${name}=(.*)$`, 'm').exec(subject)?.[1] ?? ''
  const attribute = (id: string, text: string): Buffer => set(sequence(objectId(id), utf8String(text)))
  return sequence(attribute('2.5.4.10', part('O')), attribute('2.5.4.3', part('CN')))
}
