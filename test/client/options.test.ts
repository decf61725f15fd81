import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { inspect } from 'node:util'
import { type ClientOptions, resolveOptions } from '../../src/client/options.js'
import { Etcd, InvalidArgumentError } from '../../src/index.js'

const endpoints = 'http://127.0.0.1:1'

/** A client that is closed at the end of the test. */
function clientOf(t: TestContext, options: string | ClientOptions): Etcd {
  const etcd = new Etcd(options)
  t.after(() => etcd.close())
  return etcd
}

describe('An option', () => {
  test('has the value that was given, not its default', () => {
    const logger = { debug() {}, info() {}, warn() {}, error() {} }
    const resolved = resolveOptions({
      endpoints: 'https://127.0.0.1:1',
      auth: { username: 'app', password: 'pw', tokenTtlMs: 1000 },
      cache: { maxAgeMs: 5, maxBytes: 6 },
      maxRangeKeys: 7,
      maxRangeBytes: 8,
      memberSync: { intervalMs: 9 },
      diagnostics: { name: 'mine', keys: false, slowCallMs: 10 },
      tls: { servername: 'etcd.example' },
      logger,
      logLevel: 'debug',
    })
    assert.deepEqual(resolved.auth, { username: 'app', password: 'pw', tokenTtlMs: 1000 })
    assert.deepEqual(resolved.cache, { maxAgeMs: 5, maxBytes: 6 })
    assert.deepEqual([resolved.maxRangeKeys, resolved.maxRangeBytes, resolved.memberSyncMs], [7, 8, 9])
    assert.deepEqual(resolved.diagnostics, { name: 'mine', keys: false, slowCallMs: 10 })
    assert.deepEqual([resolved.hasTls, resolved.channel.servername], [true, 'etcd.example'])
    assert.equal(resolved.log?.level, 'debug')
  })

  test('of the discovery reaches the resolver', () => {
    const resolver = { resolveSrv: async () => [] }
    const { discovery } = resolveOptions({ discovery: { domain: 'a', name: 'b', resolver, intervalMs: 5 } })
    assert.deepEqual(discovery, { domain: 'a', name: 'b', resolver, intervalMs: 5, refreshMs: 5 })
  })

  test('that is a secret is in no message', () => {
    for (const auth of [
      { username: 'app', password: 48151623 },
      { username: 'app', password: 42n },
      { token: 'a\nb' },
    ]) {
      assert.throws(
        () => resolveOptions({ endpoints, auth: auth as never }),
        ({ message }: Error) => /`auth\.\w+` must be /.test(message) && !/4815|42|a\nb/.test(message),
      )
    }
  })

  test('may be part of a connection string', () => {
    const { auth, namespace } = resolveOptions('etcds://app:p%40w@127.0.0.1:1/tenant/')
    assert.deepEqual(auth, { username: 'app', password: 'p@w' })
    assert.equal(String(namespace), 'tenant/')
  })
})

describe('A client', () => {
  test('warns of a password that goes over the network in clear, once in a process', (t) => {
    const warn = t.mock.method(process, 'emitWarning', () => {})
    const auth = { username: 'app', password: 'hush' }
    clientOf(t, { endpoints: 'unix:/a', auth })
    clientOf(t, { endpoints: 'https://127.0.0.1:1', auth })
    clientOf(t, { endpoints, auth: { token: 'token' } })
    clientOf(t, { endpoints })
    assert.equal(warn.mock.callCount(), 0)
    clientOf(t, { endpoints, auth })
    assert.doesNotMatch(inspect(clientOf(t, { endpoints, auth }), { depth: null }), /hush/)
    const [warning, ...more] = warn.mock.calls.map(({ arguments: [text, options] }) => [text, options])
    assert.deepEqual(more, [])
    assert.deepEqual(warning, [
      'the password goes to http://127.0.0.1:1 in clear: use https endpoints',
      { type: 'EtcdkitWarning', code: 'ETCDKIT_CLEAR_PASSWORD' },
    ])
  })

  test('with TLS gets no endpoints without, and those without a scheme have TLS', (t) => {
    const etcd = clientOf(t, { endpoints: '127.0.0.1:1', tls: {} })
    const urls = (client: Etcd): string[] => client.endpoints().map(({ endpoint }) => endpoint)
    assert.deepEqual(urls(etcd), ['https://127.0.0.1:1'])
    etcd.setEndpoints('127.0.0.1:3')
    assert.deepEqual(urls(etcd), ['https://127.0.0.1:3'])
    const withoutOption = clientOf(t, { endpoints: 'https://127.0.0.1:1' })
    for (const client of [etcd, withoutOption]) {
      assert.throws(() => client.setEndpoints(['http://127.0.0.1:2']), InvalidArgumentError)
    }
    assert.deepEqual(urls(withoutOption), ['https://127.0.0.1:1'])
  })

  test('emits `closed` as its last event, once, and gets no endpoints after it', async (t) => {
    const etcd = clientOf(t, { endpoints })
    const events: string[] = []
    etcd.on('closed', () => events.push('closed'))
    etcd.on('endpointsChanged', () => events.push('endpointsChanged'))
    assert.throws(() => etcd.on('close' as 'closed', () => {}), /`event` must be /)
    assert.equal(etcd.close(), etcd.close())
    await etcd.close()
    assert.deepEqual(events, ['closed'])
    assert.throws(() => etcd.setEndpoints('127.0.0.1:2'), { code: 'CLOSED' })
    assert.deepEqual(events, ['closed'])
  })
})
