import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer as createHttpServer } from 'node:http'
import { type AddressInfo, connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { defaults, resolveOptions } from '../../src/client/options.js'
import { type ClientOptions, Etcd, isEtcdError, put } from '../../src/index.js'
import { poll, reservePort } from '../../src/testing/index.js'
import { runScript } from '../support/child.js'
import { useCluster } from '../support/cluster.js'
import { memberAt } from '../support/cluster-view.js'
import { DnsServer } from '../support/dns-server.js'
import { createClient } from '../support/fixtures.js'
import { within } from '../support/slack.js'

const guide = readFileSync(join(import.meta.dirname, '../../docs/options.md'), 'utf8')

async function timedRejection(call: Promise<unknown>, code: string): Promise<number> {
  const startedAt = performance.now()
  await assert.rejects(call, (error) => {
    assert.ok(isEtcdError(error), String(error))
    assert.equal(error.code, code)
    return true
  })
  return performance.now() - startedAt
}

describe('The option', () => {
  const cluster = useCluster({ members: 3 })

  function urlOf(member: number): string {
    return memberAt(cluster, member).endpoint
  }

  function portOf(member: number): number {
    return Number(new URL(urlOf(member)).port)
  }

  function openClient(t: TestContext, options: string | ClientOptions): Etcd {
    const etcd = new Etcd(options)
    t.after(() => etcd.close())
    return etcd
  }

  async function closedPort(t: TestContext): Promise<string> {
    const { port, release } = await reservePort()
    t.after(release)
    return `http://127.0.0.1:${port}`
  }

  test('table of docs/options.md lists every option with its actual default', () => {
    const table = guide.slice(guide.indexOf('## Client options'))
    const rows = [...table.matchAll(/^\| (`[^|]+?) +\| ([^|]+?) +\|/gm)].map(([, names = '', values = '']) => ({
      names: [...names.matchAll(/`(\w+)`/g)].map(([, name]) => name ?? ''),
      numbers: values.split(', ').map((value) => Number(value.replaceAll(' ', ''))),
    }))
    const known = rows.flatMap(({ names }) => names)
    const endpoints = 'http://127.0.0.1:1'
    assert.throws(
      () => resolveOptions({ endpoints, x: 1 } as ClientOptions),
      (error) => {
        const { message } = error as Error
        const listed = message.slice(message.indexOf('known are ') + 10).split(', ')
        assert.deepEqual([...known].sort(), [...listed].sort())
        return true
      },
    )
    const resolved = { ...resolveOptions({ endpoints }), ...resolveOptions({ endpoints }).channel }
    for (const { names, numbers } of rows) {
      names.forEach((name, index) => {
        const documented = numbers[index]
        if (documented === undefined || Number.isNaN(documented)) return
        assert.equal(defaults[name as keyof typeof defaults], documented, name)
        assert.equal(resolved[name as keyof typeof resolved], documented, name)
      })
    }
    assert.equal(resolved.useProxyEnvironment, false)
    assert.equal(resolved.memberSyncMs, undefined)
    assert.match(table, /refreshed every 60 s/)
    assert.equal(defaults.discoveryRefreshMs, 60_000)
  })

  test('keepaliveMs and keepaliveTimeoutMs reach the channel, within the limits of timers', () => {
    const endpoints = 'http://127.0.0.1:1'
    const { channel } = resolveOptions({ endpoints, keepaliveMs: 6000, keepaliveTimeoutMs: 700 })
    assert.deepEqual([channel.keepaliveMs, channel.keepaliveTimeoutMs], [6000, 700])
    const never = resolveOptions({ endpoints, keepaliveMs: Number.POSITIVE_INFINITY, keepaliveTimeoutMs: 1e12 })
    assert.deepEqual([never.channel.keepaliveMs, never.channel.keepaliveTimeoutMs], [2 ** 31 - 1, 2 ** 31 - 1])
  })

  test('transport is one of two, and a proxy in the environment requires grpc-js', () => {
    const endpoints = 'http://127.0.0.1:1'
    const transportOf = (options: ClientOptions): string => resolveOptions({ endpoints, ...options }).channel.transport
    assert.equal(transportOf({}), process.env.ETCDKIT_TRANSPORT ?? defaults.transport)
    assert.equal(transportOf({ transport: 'http2' }), 'http2')
    assert.equal(transportOf({ useProxyEnvironment: true }), 'grpc-js')
    assert.throws(
      () => transportOf({ useProxyEnvironment: true, transport: 'http2' }),
      /needs `transport` to be grpc-js/,
    )
    const wrong = { transport: 'quic' } as unknown as ClientOptions
    assert.throws(() => transportOf(wrong), /`transport` must be 'http2' or 'grpc-js', got "quic"/)
  })

  test('timeoutMs bounds only calls without their own', async (t) => {
    const etcd = openClient(t, { endpoints: urlOf(0), timeoutMs: 300 })
    await etcd.connect()
    await cluster.pause(0)
    t.after(() => cluster.healthy())
    t.after(() => cluster.resume(0))
    const patient = etcd.get('key', { timeoutMs: 5000 })
    const tookMs = await timedRejection(etcd.get('key'), 'DEADLINE_EXCEEDED')
    assert.ok(tookMs >= 290 && tookMs < within(600), `it took ${tookMs} ms`)
    assert.ok((await timedRejection(etcd.put('key', '', { timeoutMs: 100 }), 'DEADLINE_EXCEEDED')) < within(290))
    await cluster.resume(0)
    await patient
    await cluster.pause(0)
  })

  test('connectTimeoutMs bounds the wait for a connection, of calls and of connect()', async (t) => {
    const etcd = openClient(t, { endpoints: await closedPort(t), connectTimeoutMs: 250 })
    for (const call of [() => etcd.get('key'), () => etcd.connect(), () => etcd.put('key', '', { timeoutMs: 1e12 })]) {
      const tookMs = await timedRejection(call(), 'NOT_CONNECTED')
      assert.ok(tookMs >= 240 && tookMs < within(500), `it took ${tookMs} ms`)
    }
    assert.ok((await timedRejection(etcd.connect({ timeoutMs: 50 }), 'NOT_CONNECTED')) < within(200))
  })

  test('connectTimeoutMs may be longer than any timer', async (t) => {
    const etcd = openClient(t, { endpoints: urlOf(0), connectTimeoutMs: 1e12, timeoutMs: 1e12 })
    // The member, which was paused before, knows again who leads.
    await etcd.get('key')
    await etcd.put('key', 'value')
    assert.equal((await etcd.get('key'))?.valueText, 'value')
  })

  test('maxRequestBytes is checked by the client, and the servers have their own limit', async (t) => {
    const small = createClient(t, cluster, { maxRequestBytes: 1000 })
    await small.put('key', 'x'.repeat(980))
    const message = /request is too large: 10\d\d bytes, over maxRequestBytes = 1000/
    await assert.rejects(small.put('key', 'x'.repeat(1000)), { code: 'REQUEST_TOO_LARGE', effect: 'none', message })
    const large = createClient(t, cluster, { maxRequestBytes: 3_000_000 })
    await assert.rejects(large.put('key', 'x'.repeat(1_700_000)), (error) => {
      assert.ok(isEtcdError(error, 'REQUEST_TOO_LARGE'))
      return error.endpoint !== undefined
    })
  })

  test('maxTxnOps is checked by the client, and the servers have their own limit', async (t) => {
    const operations = (count: number) => Array.from({ length: count }, (_, index) => put(`op/${index}`, ''))
    const small = createClient(t, cluster, { maxTxnOps: 2 })
    await small
      .txn()
      .then(...operations(2))
      .commit()
    await assert.rejects(
      small
        .txn()
        .then(...operations(3))
        .commit(),
      { code: 'TOO_MANY_OPS', message: /maxTxnOps = 2/ },
    )
    const large = createClient(t, cluster, { maxTxnOps: 1000 })
    const atServer = { code: 'TOO_MANY_OPS', effect: 'none', method: 'KV.Txn' }
    await assert.rejects(
      large
        .txn()
        .then(...operations(129))
        .commit(),
      atServer,
    )
  })

  test('useProxyEnvironment connects through the proxy named by the environment', async (t) => {
    const tunnels: string[] = []
    const proxy = createHttpServer().listen(0, '127.0.0.1')
    proxy.on('connect', ({ url = '' }, client) => {
      tunnels.push(url)
      const server = connect(Number(url.split(':')[1]), '127.0.0.1')
      client.write('HTTP/1.1 200 OK\r\n\r\n')
      for (const socket of [client, server]) socket.on('error', () => {})
      client.pipe(server).pipe(client)
    })
    t.after(() => proxy.close())
    await once(proxy, 'listening')
    const source = `
      import { Etcd } from './src/index.ts'
      const etcd = new Etcd({ endpoints: '${urlOf(0)}', useProxyEnvironment: true })
      await etcd.put('proxied', 'value')
      await etcd.close()
      console.log('ok')
    `
    // A TCP server's address is never a string or null while it listens.
    const { port } = proxy.address() as AddressInfo
    const env = {
      http_proxy: `http://127.0.0.1:${port}`,
      grpc_proxy: '',
      https_proxy: '',
      no_proxy: '',
      no_grpc_proxy: '',
    }
    const { code, stdout } = await runScript(source, env)
    assert.deepEqual([code, stdout], [0, 'ok\n'])
    assert.ok(tunnels.includes(`127.0.0.1:${portOf(0)}`), `tunnels: ${tunnels}`)
  })

  test('memberSync finds the other members, and is off by default', async (t) => {
    const etcd = openClient(t, { endpoints: urlOf(0), memberSync: { intervalMs: 100 } })
    const alone = openClient(t, { endpoints: urlOf(0) })
    const changes: (readonly string[])[] = []
    etcd.on('endpointsChanged', ({ endpoints }) => changes.push(endpoints))
    await Promise.all([etcd.connect(), alone.connect()])
    await poll('the members are found', () => etcd.endpoints().filter(({ state }) => state === 'ready')[2])
    assert.deepEqual(
      etcd
        .endpoints()
        .map(({ endpoint }) => endpoint)
        .sort(),
      [...cluster.endpoints].sort(),
    )
    assert.equal(changes.length, 1)
    assert.equal(alone.endpoints().length, 1)
  })

  test('discovery queries DNS, and again every `intervalMs`', async (t) => {
    const domain = 'cluster.example'
    const record = (member: number) => ({ priority: 0, weight: 0, port: portOf(member), target: '127.0.0.1' })
    await using server = await DnsServer.start({ [`_etcd-client._tcp.${domain}`]: [record(0), record(1)] })
    const etcd = openClient(t, { discovery: { domain, resolver: server.resolver() } })
    assert.deepEqual(server.questions, [], 'nothing is asked before the first call')
    await etcd.put('discovered', 'value')
    assert.deepEqual(
      etcd
        .endpoints()
        .map(({ endpoint }) => endpoint)
        .sort(),
      [urlOf(0), urlOf(1)].sort(),
    )

    let members = [0]
    const resolveSrv = async (name: string) => {
      if (name.includes('-ssl')) throw Object.assign(new Error('none'), { code: 'ENOTFOUND' })
      return members.map((member) => ({ ...record(member), name: '127.0.0.1' }))
    }
    const following = openClient(t, { discovery: { domain, resolver: { resolveSrv }, intervalMs: 50 } })
    await following.connect()
    members = [1, 2]
    await poll('the change is seen', () => following.endpoints()[1])
    assert.equal((await following.range('discovered')).kvs[0]?.valueText, 'value')
  })

  test('discovery never moves a client from TLS to plain text', async (t) => {
    let hasSsl = true
    const resolveSrv = async (name: string) => {
      if (name.includes('-ssl') !== hasSsl) throw Object.assign(new Error('none'), { code: 'ENOTFOUND' })
      return [{ name: '127.0.0.1', port: portOf(0), priority: 0, weight: 0 }]
    }
    const auth = { username: 'root', password: 'secret' }
    const etcd = openClient(t, { discovery: { domain: 'x', resolver: { resolveSrv }, intervalMs: 50 }, auth })
    await assert.rejects(etcd.connect({ timeoutMs: 100 }), { code: 'NOT_CONNECTED' })
    hasSsl = false
    const failures: unknown[] = []
    etcd.on('syncFailed', ({ error }) => failures.push(error))
    await poll('the refresh fails', () => failures.length > 0 || undefined)
    assert.match(String(failures[0]), /`endpoints` must use https/)
    assert.deepEqual(
      etcd.endpoints().map(({ endpoint }) => endpoint),
      [`https://127.0.0.1:${portOf(0)}`],
    )
  })

  test('auth accepts undefined members', async (t) => {
    const etcd = openClient(t, {
      endpoints: urlOf(0),
      auth: Object({ username: 'a', password: 'b', token: undefined, tokenProvider: undefined }),
    })
    await etcd.put('key', 'value')
  })

  test('endpoints accepts every documented form', async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'etcdkit-unix-'))
    const path = join(folder, 'etcd.sock')
    const socketServer = createServer((client) => {
      const member = connect(portOf(0), '127.0.0.1')
      for (const socket of [client, member]) socket.on('error', () => {})
      client.pipe(member).pipe(client)
    })
    socketServer.listen(path)
    await once(socketServer, 'listening')
    t.after(() => {
      socketServer.close()
      rmSync(folder, { recursive: true })
    })
    const [a, b] = [portOf(0), portOf(1)]
    const forms: [string | ClientOptions, string[]][] = [
      [{ endpoints: urlOf(0) }, [urlOf(0)]],
      [{ endpoints: `127.0.0.1:${a}` }, [urlOf(0)]],
      [{ endpoints: `localhost:${a}` }, [`http://localhost:${a}`]],
      [{ endpoints: `127.0.0.1:${a}, 127.0.0.1:${b}` }, [urlOf(0), urlOf(1)]],
      [{ endpoints: [urlOf(0), `127.0.0.1:${b}`] }, [urlOf(0), urlOf(1)]],
      [{ endpoints: `unix:${path}` }, [`unix:${path}`]],
      [{ endpoints: `unix://${path}` }, [`unix:${path}`]],
      [`127.0.0.1:${a},127.0.0.1:${b}`, [urlOf(0), urlOf(1)]],
      [`unix:${path}`, [`unix:${path}`]],
      [`etcd://127.0.0.1:${a},127.0.0.1:${b}`, [urlOf(0), urlOf(1)]],
      [`etcd://127.0.0.1:${a}/form%2F/`, [urlOf(0)]],
    ]
    for (const [options, endpoints] of forms) {
      const etcd = openClient(t, options)
      await etcd.put('form', JSON.stringify(options))
      assert.equal((await etcd.get('form'))?.valueText, JSON.stringify(options))
      assert.deepEqual(
        etcd.endpoints().map(({ endpoint }) => endpoint),
        endpoints,
      )
      await etcd.close()
    }
    const etcd = createClient(t, cluster)
    assert.equal((await etcd.get('form//form'))?.valueText, `"etcd://127.0.0.1:${a}/form%2F/"`)
  })

  test('endpoints can be replaced during calls', async (t) => {
    const etcd = openClient(t, { endpoints: urlOf(0), batching: { reads: false } })
    await etcd.connect()
    const before = etcd.range('key')
    etcd.setEndpoints([urlOf(1), urlOf(2)])
    const ready = () => etcd.endpoints().every(({ state }) => state === 'ready') || undefined
    await poll('the new members are ready', ready)
    const results = await Promise.all(Array.from({ length: 10 }, () => etcd.range('key')))
    assert.equal((await before).endpoint, urlOf(0))
    assert.deepEqual([...new Set(results.map(({ endpoint }) => endpoint))].sort(), [urlOf(1), urlOf(2)].sort())
  })
})
