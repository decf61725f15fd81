import assert from 'node:assert/strict'
import { createPrivateKey, X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { before, describe, type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Etcd, InvalidArgumentError, isEtcdError, type TlsOptions } from '../../src/index.js'
import { CertificateAuthority, type ClusterTls, type EtcdCluster, poll } from '../../src/testing/index.js'
import { startCluster, useCluster, useProxy } from '../support/cluster.js'
import { createClient } from '../support/fixtures.js'
import { Load } from '../support/load.js'
import { within } from '../support/slack.js'

const passphrase = 'open sesame'

/** A folder for certificates that goes away with the test. */
function folderOf(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'etcdkit-tls-'))
  t.after(() => rmSync(folder, { recursive: true }))
  return folder
}

/** Asserts that reads and writes fail within their time for want of a connection, and the error says why. */
async function assertRefused(etcd: Etcd, why: RegExp): Promise<void> {
  for (const call of [() => etcd.get('key', { timeoutMs: 300 }), () => etcd.put('key', '', { timeoutMs: 300 })]) {
    const startedAt = performance.now()
    await assert.rejects(call(), (error) => {
      assert.ok(isEtcdError(error, 'NOT_CONNECTED') && error.effect === 'none', String(error))
      assert.match(error.message, why)
      // Neither the numbers of OpenSSL nor the time of day.
      assert.doesNotMatch(error.message, /\n|\.c:\d|\d\d:\d\d\.\d{3}Z/)
      return true
    })
    const tookMs = performance.now() - startedAt
    assert.ok(tookMs < within(500), `it took ${tookMs} ms`)
  }
}

describe('TLS with client certificates', () => {
  const cluster = useCluster({ tls: { clientCertAuth: true }, proxy: true })
  let tls: ClusterTls
  const proxy = useProxy(cluster)

  before(async () => {
    tls = cluster.tls ?? assert.fail()
  })

  function encryptedKey(): string {
    const format = { type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase } as const
    return createPrivateKey(tls.key).export(format).toString()
  }

  async function assertWorks(t: TestContext, options: TlsOptions): Promise<void> {
    const etcd = createClient(t, cluster, { tls: options })
    await etcd.put('key', 'value')
    assert.equal((await etcd.get('key'))?.valueText, 'value')
    await etcd.close()
  }

  test('accepts certificates and keys as paths, PEM text and bytes, and encrypted keys with a passphrase', async (t) => {
    const encryptedFile = join(folderOf(t), 'encrypted.key')
    writeFileSync(encryptedFile, encryptedKey())
    const { caFile, certFile, keyFile, ca, cert, key: keyPem } = tls
    await assertWorks(t, { ca: caFile, cert: certFile, key: keyFile })
    await assertWorks(t, { ca, cert, key: keyPem })
    await assertWorks(t, { ca: Buffer.from(ca), cert: new TextEncoder().encode(cert), key: Buffer.from(keyPem) })
    await assertWorks(t, { ca, cert: certFile, key: encryptedFile, passphrase })
    await assertWorks(t, { ca, cert, key: encryptedKey(), passphrase })
    await assertWorks(t, { cert, key: keyPem, dangerouslySkipVerification: true })
  })

  for (const transport of ['grpc-js', 'http2'] as const) {
    test(`carries calls, watches and leases to an IP address by ${transport}, without a warning`, async (t) => {
      const warnings: Error[] = []
      const onWarning = (warning: Error): unknown => warnings.push(warning)
      process.on('warning', onWarning)
      t.after(() => process.off('warning', onWarning))
      const { ca, cert, key } = tls
      const etcd = createClient(t, cluster, { tls: { ca, cert, key }, transport })
      assert.match(cluster.endpoints[0] ?? '', /^https:\/\/127\.0\.0\.1:/)
      const watcher = etcd.watch('key')
      await watcher.ready({ timeoutMs: 5000 })
      await etcd.put('key', 'value')
      for await (const { valueText } of watcher) {
        assert.equal(valueText, 'value')
        break
      }
      const { id } = await etcd.lease.grant(2)
      assert.equal(await etcd.lease.keepAliveOnce(id), 2)
      await sleep(0)
      assert.deepEqual(warnings, [])
    })
  }

  test('rejects unusable key material when the client is created, and never shows it', (t) => {
    const { ca, cert, key: keyPem, certFile } = tls
    const other = tls.authority.issue()
    const folder = folderOf(t)
    const nowhere = join(folder, 'nothing')
    const der = join(folder, 'ca.der')
    writeFileSync(der, new X509Certificate(ca).raw)
    const cases: (readonly [TlsOptions, RegExp])[] = [
      [{ cert }, /`tls.cert` and `tls.key` are required together/],
      [{ key: keyPem }, /`tls.cert` and `tls.key` are required together/],
      [{ ca: der }, /`tls.ca` must be PEM \(-----BEGIN/],
      [{ ca: new X509Certificate(ca).raw }, /`tls.ca` must be PEM/],
      [{ ca: nowhere }, /`tls.ca` cannot be read: ENOENT.*nothing/],
      [{ cert: certFile, key: nowhere }, /`tls.key` cannot be read: ENOENT/],
      [{ cert, key: encryptedKey() }, /`tls.key` is invalid/],
      [{ cert, key: encryptedKey(), passphrase: 'wrong' }, /`tls.passphrase` is wrong/],
      [{ cert, key: cert }, /`tls.key` is invalid/],
      [{ cert, key: other.key }, /`tls` is invalid: .*key values mismatch/],
      [{ cert: '-----BEGIN CERTIFICATE-----\nnone', key: keyPem }, /`tls` is invalid/],
    ]
    for (const [options, message] of cases) {
      assert.throws(
        () => createClient(t, cluster, { tls: { ca, ...options } }),
        (error) => {
          assert.ok(error instanceof InvalidArgumentError)
          assert.match(error.message, message)
          return !error.message.includes(passphrase) && !/PRIVATE KEY|MII|MIG/.test(error.message)
        },
      )
    }
  })

  test("names the problem when another authority signed the members' certificates", async (t) => {
    const { cert, key } = tls
    const ca = new CertificateAuthority().cert
    await assertRefused(createClient(t, cluster, { tls: { ca, cert, key } }), /unable to verify|self.signed|signature/)
    await assertRefused(createClient(t, cluster, { tls: { cert, key } }), /(unable to|self.signed).*set `tls.ca`/)
  })

  test('reports a refusal when the client certificate is missing or from another authority', async (t) => {
    const { ca } = tls
    await assertRefused(createClient(t, cluster, { tls: { ca } }), /TLS: .*certificate.*set `tls.cert`/)
    const stranger = new CertificateAuthority().issue()
    await assertRefused(createClient(t, cluster, { tls: { ca, ...stranger } }), /TLS: .*(certificate|unknown ca)/)
  })

  test('uses renewed files for new connections, under traffic', async (t) => {
    const folder = folderOf(t)
    const files = { ca: join(folder, 'ca.crt'), cert: join(folder, 'client.crt'), key: join(folder, 'client.key') }
    const lifeMs = 2500
    const old = tls.authority.issue({ notAfter: new Date(Date.now() + lifeMs) })
    const expired = sleep(lifeMs + 1000)
    writeFileSync(files.ca, tls.ca)
    writeFileSync(files.cert, old.cert)
    writeFileSync(files.key, old.key)
    const [etcd, forgotten] = [
      createClient(t, cluster, { tls: files }),
      createClient(t, cluster, { tls: { ...old, ca: tls.ca } }),
    ]
    await Promise.all([etcd.get('key'), forgotten.get('key')])
    await using reads = new Load(() => etcd.get('key'))

    const renewed = tls.authority.issue()
    writeFileSync(files.cert, renewed.cert)
    // Until the key has come too, the old pair is used.
    await reconnect(etcd)
    writeFileSync(files.key, renewed.key)
    await reconnect(etcd)
    await expired
    await reconnect(etcd)
    const wanted = reads.successes + 100
    await poll('traffic goes on', () => reads.successes > wanted || undefined)
    await reads.stop()
    assert.deepEqual(reads.failures, [])
    await assertRefused(forgotten, /TLS: .*certificate/)
  })

  test('connects after a wrong file is replaced', async (t) => {
    const ca = join(folderOf(t), 'ca.crt')
    writeFileSync(ca, new CertificateAuthority().cert)
    const etcd = createClient(t, cluster, { tls: { ca, cert: tls.cert, key: tls.key } })
    await assertRefused(etcd, /unable to verify|self.signed|signature/)
    writeFileSync(ca, tls.ca)
    await etcd.put('key', 'value')
  })

  async function reconnect(etcd: Etcd): Promise<void> {
    const { accepted } = proxy
    proxy.cut()
    await poll('it has connected again', () => {
      return (proxy.accepted > accepted && etcd.endpoints()[0]?.state === 'ready') || undefined
    })
  }
})

describe('TLS with an invalid member certificate', () => {
  test('names the host that the certificate does not cover, unless `servername` matches', async (t) => {
    const cluster = await startCluster(t, { tls: { serverCertificate: { hosts: ['etcd.example'] } } })
    const ca = cluster.tls?.ca
    await assertRefused(
      createClient(t, cluster, { tls: { ca } }),
      /127\.0\.0\.1.*(cert's list|altnames).*`tls.servername`/,
    )
    const named = createClient(t, cluster, { tls: { ca, servername: 'etcd.example' } })
    await named.put('key', 'value')
    const wrong = createClient(t, cluster, { tls: { ca, servername: 'other.example' } })
    await assertRefused(wrong, /other\.example.*altnames/)
  })

  test('reports an expired certificate', async (t) => {
    const notAfter = new Date(Date.now() - 60_000)
    const cluster = await startCluster(t, { tls: { serverCertificate: { notAfter } } })
    await assertRefused(createClient(t, cluster, { tls: { ca: cluster.tls?.ca } }), /certificate has expired/)
  })
})

describe('TLS on one side only', () => {
  test('fails within the deadline and reports what was received', async (t) => {
    const secure = await startCluster(t, { tls: true })
    const plain = await startCluster(t)
    const withoutScheme = (cluster: EtcdCluster) => cluster.endpoints.map((url) => url.replace(/^https?:\/\//, ''))
    const ca = secure.tls?.ca
    const plainToSecure = createClient(t, { endpoints: withoutScheme(secure).map((host) => `http://${host}`) })
    const secureToPlain = createClient(t, { endpoints: withoutScheme(plain) }, { tls: { ca } })
    for (const [etcd, why] of [
      [plainToSecure, /closed during the HTTP\/2 handshake: the server may require TLS/],
      [secureToPlain, /the server may speak plain text, use http:\/\//],
    ] as const) {
      await assertRefused(etcd, why)
    }
    await createClient(t, { endpoints: withoutScheme(secure) }, { tls: { ca } }).put('key', 'value')
  })

  test('has the same error when a reset discards the response in plain text', async (t) => {
    const server = createServer((socket) => {
      socket.on('error', () => {})
      socket.once('data', () => socket.resetAndDestroy())
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    t.after(() => server.close())
    const { port } = server.address() as AddressInfo
    const etcd = createClient(t, { endpoints: [`https://127.0.0.1:${port}`] })
    await assertRefused(etcd, /TLS handshake failed: the server may speak plain text, use http:\/\//)
  })
})
