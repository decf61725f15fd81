import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { CertificateAuthority } from '../../src/testing/index.js'
import { TlsMaterial } from '../../src/transport/credentials.js'

test('TLS material stays in use while its files are unreadable, and is read again afterwards', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'etcdkit-tls-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const path = join(folder, 'ca.pem')
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
