import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { EtcdError } from '../../src/core/errors.js'
import { Etcd } from '../../src/index.js'
import { discoverEndpoints, type SrvDiscovery } from '../../src/transport/connection/srv-discovery.js'
import { type Answer, DnsServer } from '../support/dns-server.js'

const domain = 'cluster.example'
const secure = `_etcd-client-ssl._tcp.${domain}`
const plain = `_etcd-client._tcp.${domain}`

const srv = (target: string, port = 2379, priority = 0, weight = 0) => ({ target, port, priority, weight })

async function discover(answers: { readonly [name: string]: Answer }, name?: string) {
  await using server = await DnsServer.start(answers)
  const endpoints = await discoverEndpoints({ domain, name, resolver: server.resolver() })
  return { endpoints, questions: server.questions }
}

async function failure(answers: { readonly [name: string]: Answer }): Promise<{ error: EtcdError; asked: string[] }> {
  await using server = await DnsServer.start(answers)
  try {
    await discoverEndpoints({ domain, resolver: server.resolver() })
  } catch (error) {
    assert.ok(error instanceof EtcdError)
    assert.deepEqual([error.code, error.effect, error.retryable], ['NOT_CONNECTED', 'none', true])
    assert.ok(error.message.includes(secure) && error.message.includes(plain), error.message)
    return { error, asked: server.questions }
  }
  assert.fail('endpoints were found')
}

describe('discoverEndpoints', () => {
  test('finds members with TLS', async () => {
    const { endpoints } = await discover({ [secure]: [srv('a.example'), srv('b.example', 2380)] })
    assert.deepEqual(endpoints, ['https://a.example:2379', 'https://b.example:2380'])
  })

  test('finds members without TLS if there are no TLS records', async () => {
    const { endpoints, questions } = await discover({ [plain]: [srv('a.example')] })
    assert.deepEqual(endpoints, ['http://a.example:2379'])
    assert.deepEqual(questions, [secure, plain])
  })

  test('uses only the TLS records if both exist', async () => {
    const { endpoints, questions } = await discover({ [secure]: [srv('a.example')], [plain]: [srv('b.example')] })
    assert.deepEqual(endpoints, ['https://a.example:2379'])
    assert.deepEqual(questions, [secure])
  })

  test('queries the service with the discovery name', async () => {
    const { endpoints } = await discover({ [`_etcd-client-ssl-blue._tcp.${domain}`]: [srv('a.example')] }, 'blue')
    assert.deepEqual(endpoints, ['https://a.example:2379'])
    const { questions } = await discover({ [`_etcd-client-blue._tcp.${domain}`]: [srv('a.example')] }, 'blue')
    assert.deepEqual(questions, [`_etcd-client-ssl-blue._tcp.${domain}`, `_etcd-client-blue._tcp.${domain}`])
  })

  test('sorts by priority, descending weight, name and port', async () => {
    const records = [
      srv('f.example', 2379, 2, 9),
      srv('e.example', 2380, 1, 1),
      srv('e.example', 2379, 1, 1),
      srv('d.example', 2379, 1, 1),
      srv('c.example', 2379, 1, 5),
    ]
    const { endpoints } = await discover({ [plain]: records })
    assert.deepEqual(endpoints, [
      'http://c.example:2379',
      'http://d.example:2379',
      'http://e.example:2379',
      'http://e.example:2380',
      'http://f.example:2379',
    ])
  })

  test('strips the trailing dot of a name', async () => {
    const resolver: SrvDiscovery['resolver'] = {
      resolveSrv: async () => [{ name: 'a.example.', port: 2379, priority: 0, weight: 0 }],
    }
    assert.deepEqual(await discoverEndpoints({ domain, resolver }), ['https://a.example:2379'])
  })

  test('treats the root as target as an unavailable service', async () => {
    const { endpoints } = await discover({ [secure]: [srv('.', 0)], [plain]: [srv('a.example')] })
    assert.deepEqual(endpoints, ['http://a.example:2379'])
    const { error } = await failure({ [secure]: [srv('.', 0)], [plain]: [srv('.', 0)] })
    assert.match(error.message, /has no SRV records/)
  })

  test('fails if there are no records, with the error of each query', async () => {
    const { error } = await failure({ [plain]: [] })
    assert.match(error.message, /DNS has no SRV records/)
    assert.ok(error.cause instanceof AggregateError)
    assert.deepEqual(
      error.cause.errors.map(({ code, hostname }) => [code, hostname]),
      [
        ['ENOTFOUND', secure],
        ['ENODATA', plain],
      ],
    )
  })

  test('does not fall back to plain text if the TLS query fails', async () => {
    const { error, asked } = await failure({ [secure]: 'server failure', [plain]: [srv('a.example')] })
    assert.match(error.message, /DNS failed to resolve the SRV records/)
    assert.ok(error.cause instanceof Error && 'code' in error.cause)
    assert.equal(error.cause.code, 'ESERVFAIL')
    assert.ok(!asked.includes(plain))
  })

  test('fails if the query without TLS fails', async () => {
    const { error } = await failure({ [plain]: 'server failure' })
    assert.match(error.message, /failed to resolve/)
  })
})

describe('Endpoints that are set while the first discovery is in progress', () => {
  const set = 'http://127.0.0.1:1'
  const found = { name: '127.0.0.1', port: 2, priority: 0, weight: 0 }

  /** Sets endpoints during the query of the first call, which then ends with `answer`; returns the endpoints used. */
  async function setBefore(answer: () => (typeof found)[], t: TestContext): Promise<string[]> {
    const resolveSrv = async () => {
      etcd.setEndpoints(set)
      await sleep(1)
      return answer()
    }
    const etcd = new Etcd({ discovery: { domain, resolver: { resolveSrv } } })
    t.after(() => etcd.close())
    await assert.rejects(etcd.get('key', { timeoutMs: 300 }), { message: /127\.0\.0\.1:1/ })
    return etcd.endpoints().map(({ endpoint }) => endpoint)
  }

  test('are not replaced by its result', async (t) => {
    assert.deepEqual(await setBefore(() => [found], t), [set])
  })

  test('are used although it fails', async (t) => {
    const fail = (): never => {
      throw Object.assign(new Error('the query failed'), { code: 'ESERVFAIL' })
    }
    assert.deepEqual(await setBefore(fail, t), [set])
  })
})
