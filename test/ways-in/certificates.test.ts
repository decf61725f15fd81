import assert from 'node:assert/strict'
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { poll } from '../../src/testing/index.js'
import { startCluster } from '../support/cluster.js'
import { proxyAt } from '../support/cluster-view.js'
import { createClient } from '../support/fixtures.js'
import { revocationList } from '../support/revocation-list.js'
import { transports } from './transports.js'

describe('A client certificate that is revoked (`--client-crl-file`)', { concurrency: true }, () => {
  for (const transport of transports) {
    test(`is refused for new connections, and its successor is used from the same files, by ${transport}`, async (t) => {
      const folder = mkdtempSync(join(tmpdir(), 'etcdkit-crl-'))
      t.after(() => rmSync(folder, { recursive: true }))
      const cluster = await startCluster(t, { tls: { clientCertAuth: true }, proxy: true })
      const tls = cluster.tls ?? assert.fail()
      const list = join(folder, 'revoked.crl')
      writeFileSync(list, revocationList(tls.authority, [tls.authority.issue().cert]))
      await cluster.restart(0, { flags: { 'client-crl-file': list } })

      const files = { cert: join(folder, 'client.crt'), key: join(folder, 'client.key') }
      const install = (): string => {
        const { cert, certFile, keyFile } = tls.clientCert('alice')
        copyFileSync(certFile, files.cert)
        copyFileSync(keyFile, files.key)
        return cert
      }
      const first = install()
      const etcd = createClient(t, cluster, { tls: { ca: tls.caFile, ...files }, transport })
      await etcd.put('key', '1')
      await using watcher = etcd.watch('key')
      await watcher.ready()

      writeFileSync(list, revocationList(tls.authority, [first]))
      // A connection outlives the revocation of its certificate.
      await etcd.put('key', '2')
      proxyAt(cluster, 0).cut()
      await poll('the connection is lost', () => etcd.endpoints()[0]?.state !== 'ready' || undefined)
      await assert.rejects(etcd.put('key', 'never', { timeoutMs: 1500 }), (error: Error & { code?: unknown }) => {
        assert.equal(error.code, 'NOT_CONNECTED')
        assert.match(error.message, /revoked the client certificate|TLS: .*certificate/)
        return true
      })
      install()
      await etcd.put('key', '3', { timeoutMs: 20_000 })
      const seen: string[] = []
      for await (const { valueText } of watcher) if (seen.push(valueText) === 2) break
      assert.deepEqual(seen, ['2', '3'])
    })
  }
})

describe("The members' certificate", { concurrency: true }, () => {
  for (const transport of transports) {
    test(`is replaced on disk without a failed call, by ${transport}`, async (t) => {
      const cluster = await startCluster(t, { tls: true, proxy: true, members: 1 })
      const tls = cluster.tls ?? assert.fail()
      const etcd = createClient(t, cluster, { tls: { ca: tls.caFile }, transport })
      for (let count = 0; count < 3; count += 1) {
        await etcd.put('key', 'value')
        tls.renewServerCertificate()
        proxyAt(cluster, 0).cut()
        assert.equal((await etcd.get('key'))?.valueText, 'value')
      }
    })
  }
})
