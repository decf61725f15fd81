import assert from 'node:assert/strict'
import { once } from 'node:events'
import { request } from 'node:https'
import { describe, test } from 'node:test'
import { connect } from 'node:tls'
import { CertificateAuthority, EtcdCluster, GatewayError } from '../../src/testing/index.js'

const key = Buffer.from('key').toString('base64')

/** Asks a member for its version the way a client would; rejects when the handshake fails. */
function askVersion(url: string, tls: { ca: string; cert?: string; key?: string }): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const call = request(`${url}/version`, { ...tls, agent: false }, (response) => {
      response.resume()
      resolve(response.statusCode)
    })
    call.on('error', reject)
    call.end()
  })
}

/** The fingerprint of the certificate that a member presents; rejects if it is not trusted. */
async function fingerprint(url: string, ca: string): Promise<string> {
  const { hostname, port } = new URL(url)
  const socket = connect({ host: hostname, port: Number(port), ca })
  await once(socket, 'secureConnect')
  const { fingerprint256 } = socket.getPeerCertificate()
  socket.destroy()
  return fingerprint256
}

describe('EtcdCluster with TLS', () => {
  test('serves clients that trust its authority, through the proxy too', async () => {
    await using cluster = await EtcdCluster.start({ members: 3, tls: true, proxy: true })
    const { tls, endpoints } = cluster
    assert.ok(tls)
    assert.ok(endpoints.every((endpoint) => endpoint.startsWith('https://127.0.0.1:')))
    assert.equal(await askVersion(String(endpoints[0]), { ca: tls.ca }), 200)
    await assert.rejects(askVersion(String(endpoints[0]), { ca: new CertificateAuthority().cert }))
    assert.equal(await cluster.etcdctl('put', 'key', 'value'), 'OK\n')
    assert.equal(await cluster.metric('etcd_server_has_leader'), 3)
    const before = await fingerprint(String(endpoints[0]), tls.ca)
    tls.renewServerCertificate()
    assert.notEqual(await fingerprint(String(endpoints[0]), tls.ca), before)
  })

  test('requires client certificates, and uses their common name as the user', async () => {
    await using cluster = await EtcdCluster.start({ tls: { clientCertAuth: true }, auth: { rootPassword: 'secret' } })
    const { tls } = cluster
    assert.ok(tls)
    const { clientUrl } = cluster.members[0] ?? assert.fail()
    await assert.rejects(askVersion(clientUrl, { ca: tls.ca }))
    assert.equal(await askVersion(clientUrl, { ca: tls.ca, cert: tls.cert, key: tls.key }), 200)

    await cluster.call('/v3/auth/user/add', { name: 'alice', options: { no_password: true } })
    const alice = tls.clientCert('alice')
    const flags = ['--cert', alice.certFile, '--key', alice.keyFile, '--user', '']
    await assert.rejects(cluster.etcdctl('get', 'key', ...flags), /permission denied/)
    await cluster.call('/v3/auth/user/grant', { user: 'alice', role: 'root' })
    assert.equal(await cluster.etcdctl('get', 'key', ...flags), '')
  })

  test('starts with a certificate that clients must reject', async () => {
    const notAfter = new Date(Date.now() - 60_000)
    await using expired = await EtcdCluster.start({ tls: { serverCertificate: { notAfter } } })
    const { tls, endpoints } = expired
    assert.ok(tls)
    await assert.rejects(askVersion(String(endpoints[0]), { ca: tls.ca }), { code: 'CERT_HAS_EXPIRED' })
    await using elsewhere = await EtcdCluster.start({ tls: { serverCertificate: { hosts: ['etcd.example'] } } })
    const ca = elsewhere.tls?.ca ?? ''
    const mismatch = { code: 'ERR_TLS_CERT_ALTNAME_INVALID' }
    await assert.rejects(askVersion(String(elsewhere.endpoints[0]), { ca }), mismatch)
  })
})

describe('EtcdCluster with authentication', () => {
  test('rejects calls without a login and makes its own as root, also after a restart forgot its token', async () => {
    await using cluster = await EtcdCluster.start({ members: 3, auth: { rootPassword: 'secret' } })
    const { clientUrl } = cluster.members[0] ?? assert.fail()
    const response = await fetch(`${clientUrl}/v3/kv/range`, { method: 'POST', body: JSON.stringify({ key }) })
    assert.match(await response.text(), /user name is empty/)
    await cluster.call('/v3/kv/put', { key, value: key })
    await Promise.all([0, 1, 2].map((index) => cluster.kill(index)))
    await Promise.all([0, 1, 2].map((index) => cluster.restart(index)))
    await cluster.healthy()
    assert.equal((await cluster.call('/v3/kv/range', { key })).count, '1')
    assert.equal(await cluster.etcdctl('get', 'key', '--print-value-only'), 'key\n')
  })

  test('keeps working when a test disables and enables authentication', async () => {
    await using cluster = await EtcdCluster.start({ auth: { rootPassword: 'secret' } })
    await cluster.call('/v3/auth/disable')
    await cluster.healthy()
    await cluster.call('/v3/auth/enable')
    await cluster.healthy()
    await assert.rejects(cluster.call('/v3/auth/role/add', { name: 'root' }), GatewayError)
  })
})
