import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { PeerCertificate } from 'node:tls'
import { CertificateAuthority } from '../../src/testing/index.js'
import { plainCredentials, TlsMaterial } from '../../src/transport/credentials.js'
import { tlsOptions } from '../../src/transport/tls-options.js'

function folderOf(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'etcdkit-tls-'))
  t.after(() => rmSync(folder, { recursive: true }))
  return folder
}

test('TLS material stays in use while its files are unreadable, and is read again afterwards', (t) => {
  const path = join(folderOf(t), 'ca.pem')
  writeFileSync(path, new CertificateAuthority().cert)
  const material = new TlsMaterial({ ca: path })
  const first = material.credentials()
  rmSync(path)
  symlinkSync(path, path)
  assert.equal(material.credentials(), first)
  rmSync(path)
  writeFileSync(path, new CertificateAuthority().cert)
  assert.notEqual(material.credentials(), first)
})

test('A renewal of a certificate is used once its key is there, too, whichever file is written last', (t) => {
  const folder = folderOf(t)
  const [cert, key] = [join(folder, 'cert.pem'), join(folder, 'key.pem')]
  const authority = new CertificateAuthority()
  let writtenAt = 1e9
  const write = (path: string, pem: string): void => {
    writeFileSync(path, pem)
    writtenAt += 1
    utimesSync(path, writtenAt, writtenAt)
  }
  const before = authority.issue()
  write(cert, before.cert)
  write(key, before.key)
  const material = new TlsMaterial({ cert, key })
  let used = material.credentials()
  for (const order of ['cert first', 'key first']) {
    const renewed = authority.issue()
    const steps = [() => write(cert, renewed.cert), () => write(key, renewed.key)]
    const [first, second] = order === 'cert first' ? steps : steps.reverse()
    first?.()
    assert.equal(material.credentials(), used, `${order}: the pair does not match`)
    assert.equal(material.credentials(), used)
    second?.()
    assert.notEqual(material.credentials(), used, `${order}: the pair is complete`)
    used = material.credentials()
  }
})

test('A certificate is verified for an address, which is not sent as a server name', () => {
  const { tls } = new TlsMaterial({}).credentials()
  assert.ok(tls !== undefined && plainCredentials().tls === undefined)
  for (const [name, sent] of [
    ['etcd.example', 'etcd.example'],
    ['10.0.0.1', ''],
    ['fd00::1', ''],
  ] as const) {
    const options = tlsOptions(tls, name)
    assert.equal(options.servername, sent)
    const wrong = { subject: {}, subjectaltname: 'DNS:other.example' } as PeerCertificate
    assert.ok(options.checkServerIdentity?.(sent, wrong) instanceof Error, name)
  }
})

test('TLS options that are empty are refused', () => {
  for (const name of ['servername', 'passphrase']) {
    assert.throws(() => new TlsMaterial({ [name]: '' }), /must not be empty: leave it out/)
  }
})
