import assert from 'node:assert/strict'
import { networkInterfaces } from 'node:os'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { type EtcdCluster, type EtcdFlags, poll, reservePort } from '../../src/testing/index.js'
import { assertAllCalls } from '../support/all-calls.js'
import { startCluster } from '../support/cluster.js'
import { memberAt, served } from '../support/cluster-view.js'
import { DnsServer } from '../support/dns-server.js'
import { createClient, uniquePrefix } from '../support/fixtures.js'
import { transports } from './transports.js'

async function freePort(t: TestContext): Promise<number> {
  const { port, release } = await reservePort()
  t.after(release)
  return port
}

/** A member that listens at further URLs. */
async function startListening(
  t: TestContext,
  url: (cluster: EtcdCluster) => string,
  { tls = false, flags = {} }: { readonly tls?: boolean; readonly flags?: EtcdFlags } = {},
): Promise<EtcdCluster> {
  const cluster = await startCluster(t, { tls })
  const listen = `${memberAt(cluster, 0).clientUrl},${url(cluster)}`
  await cluster.restart(0, { flags: { 'listen-client-urls': listen, ...flags } })
  return cluster
}

const hasIPv6 = Object.values(networkInterfaces()).some((all) => all?.some(({ address }) => address === '::1'))

describe('A member at an IPv6 address', { skip: hasIPv6 ? false : 'there is no IPv6', concurrency: true }, () => {
  for (const transport of transports) {
    for (const tls of [false, true]) {
      test(`serves calls of every kind by ${transport} ${tls ? 'with' : 'without'} TLS`, async (t) => {
        const url = `${tls ? 'https' : 'http'}://[::1]:${await freePort(t)}`
        const cluster = await startListening(t, () => url, { tls })
        const options = tls ? { tls: { ca: cluster.tls?.ca ?? '' } } : {}
        const etcd = createClient(t, { endpoints: [url] }, { transport, ...options })
        await assertAllCalls(etcd, uniquePrefix())
        assert.equal(etcd.endpoints()[0]?.endpoint, url)
      })
    }
  }
})

describe('A member at a Unix socket', { concurrency: true }, () => {
  for (const transport of transports) {
    for (const tls of [false, true]) {
      test(`serves calls of every kind by ${transport} ${tls ? 'with' : 'without'} TLS`, async (t) => {
        const scheme = tls ? 'unixs' : 'unix'
        // etcd takes a name with a port, and makes the socket of that name in its working folder.
        const name = `localhost:${await freePort(t)}`
        const cluster = await startListening(t, () => `${scheme}://${name}`, { tls })
        const options = tls ? { tls: { ca: cluster.tls?.ca ?? '' } } : {}
        const path = join(memberAt(cluster, 0).dataDir, '..', name)
        const etcd = createClient(t, { endpoints: [`${scheme}:${path}`] }, { transport, ...options })
        await assertAllCalls(etcd, uniquePrefix())
      })
    }
  }
})

describe('Members in SRV records', { concurrency: true }, () => {
  for (const transport of transports) {
    test(`are found, and left when the records change, by ${transport}`, async (t) => {
      const cluster = await startCluster(t, { members: 3 })
      const records = cluster.members.map(({ clientUrl }) => ({
        target: 'localhost',
        port: Number(new URL(clientUrl).port),
        priority: 0,
        weight: 0,
      }))
      const answers = new Map([['_etcd-client._tcp.cluster.example', records]])
      await using dns = await DnsServer.start(answers)
      const discovery = { domain: 'cluster.example', resolver: dns.resolver(), intervalMs: 100 }
      const etcd = createClient(t, { endpoints: [] }, { endpoints: undefined, discovery, transport })
      await assertAllCalls(etcd, uniquePrefix())
      assert.equal(etcd.endpoints().length, 3)
      records.splice(0, 2)
      await poll('two are left', () => etcd.endpoints().length === 1 || undefined)
      await assertAllCalls(etcd, uniquePrefix())
    })
  }
})

describe('A member with a separate port for HTTP (`--listen-client-http-urls`)', { concurrency: true }, () => {
  for (const transport of transports) {
    test(`serves calls at the other, and a client of the HTTP port learns why not, by ${transport}`, async (t) => {
      const url = `http://127.0.0.1:${await freePort(t)}`
      const cluster = await startCluster(t)
      if (cluster.version.startsWith('3.4.')) return t.skip('it is new in etcd 3.5')
      const grpcUrl = `http://127.0.0.1:${await freePort(t)}`
      // The harness uses the gateway, which is at the port for HTTP then.
      const { clientUrl } = memberAt(cluster, 0)
      await cluster.restart(0, {
        flags: { 'listen-client-urls': grpcUrl, 'listen-client-http-urls': `${clientUrl},${url}` },
      })
      const etcd = createClient(t, { endpoints: [grpcUrl] }, { transport })
      await assertAllCalls(etcd, uniquePrefix())
      const wrong = createClient(t, { endpoints: [url] }, { transport })
      await assert.rejects(wrong.put('key', '', { timeoutMs: 1500 }), (error: Error & { effect?: string }) => {
        t.diagnostic(String(error))
        return error.effect === 'none'
      })
    })
  }
})

describe('Members that advertise addresses which the client cannot reach', { concurrency: true }, () => {
  for (const transport of transports) {
    test(`serve at their configured addresses with \`memberSync\`, by ${transport}`, async (t) => {
      // An address of no network, and a port that refuses.
      const flags = { 'advertise-client-urls': 'http://192.0.2.1:2379,http://127.0.0.1:1' }
      const cluster = await startCluster(t, { members: 3, flags })
      const etcd = createClient(t, cluster, { transport, memberSync: { intervalMs: 50 } })
      await assertAllCalls(etcd, uniquePrefix())
      await poll('the advertised ones are known', () => {
        if (etcd.endpoints().length !== 5) throw new Error(JSON.stringify(etcd.endpoints()))
        return true
      })
      const durations: number[] = []
      for (let count = 0; count < 100; count += 1) {
        const startedAt = performance.now()
        await etcd.put('key', `${count}`)
        await etcd.get('key')
        durations.push(performance.now() - startedAt)
        await sleep(5)
      }
      t.diagnostic(`the slowest of 100 took ${Math.max(...durations).toFixed()} ms`)
      const ready = etcd.endpoints().filter(({ state }) => state === 'ready')
      assert.deepEqual(ready.map(({ endpoint }) => endpoint).sort(), [...cluster.endpoints].sort())
      const counts = await Promise.all(cluster.members.map((member) => served(member, 'Put')))
      assert.ok(
        counts.every((count) => count > 10),
        `puts: ${counts}`,
      )
      await assertAllCalls(etcd, uniquePrefix())
    })
  }
})
