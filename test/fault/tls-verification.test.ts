import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { after, before, describe, test } from 'node:test'
import { createServer, type Server } from 'node:tls'
import { Etcd, type TlsOptions } from '../../src/index.js'
import { CertificateAuthority, poll } from '../../src/testing/index.js'

/** A server with a certificate, which counts the bytes that clients entrust to it. */
class Trap {
  received = 0
  readonly #server: Server

  constructor(authority: CertificateAuthority, hosts: readonly string[]) {
    this.#server = createServer({ ...authority.issue({ hosts }), ALPNProtocols: ['h2'] }, (socket) => {
      socket.on('error', () => {})
      socket.on('data', (bytes) => {
        this.received += bytes.length
      })
    })
    this.#server.on('tlsClientError', () => {})
  }

  async listen(): Promise<void> {
    this.#server.listen(0, '127.0.0.1')
    await once(this.#server, 'listening')
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  close(): void {
    this.#server.close()
  }
}

describe('A member whose certificate cannot be verified receives nothing', () => {
  const authority = new CertificateAuthority()
  const other = new CertificateAuthority()
  const ownHost = new Trap(authority, ['127.0.0.1', 'localhost'])
  const foreignHost = new Trap(authority, ['etcd.example', '10.0.0.1'])
  const auth = { username: 'root', password: 'secret' }

  before(() => Promise.all([ownHost.listen(), foreignHost.listen()]))
  after(() => {
    ownHost.close()
    foreignHost.close()
  })

  /** What a login and a call send to the trap. */
  async function entrusted(trap: Trap, tls: TlsOptions | undefined, form: 'https' | 'bare', kind: 'http2' | 'grpc-js') {
    const before = trap.received
    const address = `127.0.0.1:${trap.port}`
    const endpoints = form === 'https' ? `https://${address}` : address
    await using etcd = new Etcd({ endpoints, tls, auth, transport: kind, timeoutMs: 250, connectTimeoutMs: 250 })
    await assert.rejects(etcd.put('key', 'value'))
    return trap.received - before
  }

  const untrusted: readonly (readonly [string, Trap, TlsOptions | undefined])[] = [
    ['no options, an authority that nobody knows', ownHost, undefined],
    ['empty options', ownHost, {}],
    ['undefined options', ownHost, { ca: undefined, servername: undefined, dangerouslySkipVerification: undefined }],
    ['another authority', ownHost, { ca: other.cert }],
    ['verification not skipped', ownHost, { dangerouslySkipVerification: false }],
    ['a client certificate alone', ownHost, authority.issue()],
    ['a server name without an authority', ownHost, { servername: 'localhost' }],
    ['an IP address that the certificate lacks', foreignHost, { ca: authority.cert }],
    ['a server name that the certificate lacks', foreignHost, { ca: authority.cert, servername: 'etcd.example.org' }],
    ['a server name, one level below', foreignHost, { ca: authority.cert, servername: 'a.etcd.example' }],
  ]

  for (const transport of ['http2', 'grpc-js'] as const) {
    for (const rejectUnauthorized of [undefined, '0'] as const) {
      const env = rejectUnauthorized === undefined ? '' : ', with NODE_TLS_REJECT_UNAUTHORIZED=0'
      test(`over ${transport}${env}`, async (t) => {
        if (rejectUnauthorized !== undefined) {
          process.env.NODE_TLS_REJECT_UNAUTHORIZED = rejectUnauthorized
          t.after(() => delete process.env.NODE_TLS_REJECT_UNAUTHORIZED)
        }
        const checks = untrusted.map(async ([what, trap, tls]) => [
          what,
          await entrusted(trap, tls, 'https', transport),
        ])
        checks.push(entrusted(ownHost, {}, 'bare', transport).then((bytes) => ['an endpoint without a scheme', bytes]))
        for (const [what, bytes] of await Promise.all(checks)) assert.equal(bytes, 0, String(what))
      })
    }

    test(`and one that can be verified is used over ${transport}`, async (t) => {
      const [own, foreign] = [
        new Trap(authority, ['127.0.0.1', 'localhost']),
        new Trap(authority, ['etcd.example', '10.0.0.1']),
      ]
      t.after(() => [own, foreign].map((trap) => trap.close()))
      await Promise.all([own.listen(), foreign.listen()])
      const trusted: readonly (readonly [Trap, TlsOptions])[] = [
        [own, { ca: authority.cert }],
        [own, { ca: authority.cert, servername: 'localhost' }],
        [foreign, { ca: authority.cert, servername: 'etcd.example' }],
        [foreign, { ca: authority.cert, servername: '10.0.0.1' }],
        [foreign, { dangerouslySkipVerification: true }],
      ]
      for (const [trap, tls] of trusted) {
        const before = trap.received
        await using etcd = new Etcd({ endpoints: `https://127.0.0.1:${trap.port}`, tls, transport })
        const put = assert.rejects(etcd.put('key', 'value'), { code: 'CLOSED' })
        await poll('the call arrives', () => trap.received > before || undefined)
        await etcd.close()
        await put
      }
    })
  }
})
