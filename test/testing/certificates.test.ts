import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { describe, test } from 'node:test'
import { type ConnectionOptions, connect, createServer, type TLSSocket } from 'node:tls'
import { CertificateAuthority, type CertificateOptions } from '../../src/testing/index.js'

const authority = new CertificateAuthority()

/** The common name that the server sees in the client's certificate, or 'nobody' without one that it trusts. */
async function handshake(server: CertificateOptions, client: ConnectionOptions = {}): Promise<string> {
  const trust = { ca: authority.cert, requestCert: true, rejectUnauthorized: false }
  const listener = createServer({ ...authority.issue(server), ...trust })
  listener.on('tlsClientError', () => {})
  listener.listen(0, '127.0.0.1')
  await once(listener, 'listening')
  const accepted = once(listener, 'secureConnection') as Promise<[TLSSocket]>
  const { port } = listener.address() as AddressInfo
  const socket = connect({ port, host: '127.0.0.1', ca: authority.cert, ...client })
  try {
    await once(socket, 'secureConnect')
    const [peer] = await accepted
    return peer.authorized ? String(peer.getPeerCertificate().subject.CN) : 'nobody'
  } finally {
    socket.destroy()
    listener.close()
  }
}

describe('CertificateAuthority', () => {
  test('issues certificates that a server and a client accept', async () => {
    assert.equal(await handshake({}, authority.issue({ commonName: 'alice' })), 'alice')
    assert.equal(await handshake({}, new CertificateAuthority().issue({ commonName: 'mallory' })), 'nobody')
    assert.equal(await handshake({}, { servername: 'localhost' }), 'nobody')
  })

  test('issues certificates for the loopback addresses', () => {
    const certificate = new X509Certificate(authority.issue().cert)
    assert.equal(certificate.subjectAltName, 'IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1, DNS:localhost')
    assert.equal(certificate.checkIP('::1'), '::1')
    assert.ok(certificate.verify(new X509Certificate(authority.cert).publicKey))
    assert.ok(new X509Certificate(authority.cert).ca)
    assert.equal(certificate.ca, false)
  })

  test('issues expired certificates, which a client rejects', async () => {
    const day = 24 * 60 * 60 * 1000
    const expired = { notBefore: new Date(Date.now() - 2 * day), notAfter: new Date(Date.now() - day) }
    await assert.rejects(handshake(expired), { code: 'CERT_HAS_EXPIRED' })
  })

  test('issues certificates for other hosts, which a client rejects', async () => {
    await assert.rejects(handshake({ hosts: ['etcd.example', '10.0.0.1'] }), { code: 'ERR_TLS_CERT_ALTNAME_INVALID' })
    assert.equal(await handshake({ hosts: ['etcd.example'] }, { servername: 'etcd.example' }), 'nobody')
  })

  test('is not trusted by clients of another authority with the same name', async () => {
    await assert.rejects(handshake({}, { ca: new CertificateAuthority().cert }))
  })

  test('encodes dates on both sides of 2050, and short lengths', () => {
    const dates = { notBefore: new Date('2049-12-31T23:59:59Z'), notAfter: new Date('2050-01-01T00:00:00Z') }
    const certificate = new X509Certificate(authority.issue({ ...dates, commonName: 'é'.repeat(60) }).cert)
    assert.equal(certificate.validFrom, 'Dec 31 23:59:59 2049 GMT')
    assert.equal(certificate.validTo, 'Jan  1 00:00:00 2050 GMT')
    assert.match(certificate.subject, /CN=/)
  })
})
