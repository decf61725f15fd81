import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import * as grpc from '@grpc/grpc-js'
import { Etcd, isEtcdError } from '../../src/index.js'
import { registerResolver, ServiceEndpoints } from '../../src/naming/index.js'
import { poll } from '../../src/testing/poll.js'
import { useClient, useCluster } from '../support/cluster.js'
import { createClient } from '../support/fixtures.js'

const method = {
  path: '/test.Echo/Name',
  requestStream: false,
  responseStream: false,
  requestSerialize: (text: string) => Buffer.from(text),
  requestDeserialize: (bytes: Buffer) => bytes.toString(),
  responseSerialize: (text: string) => Buffer.from(text),
  responseDeserialize: (bytes: Buffer) => bytes.toString(),
}
const roundRobin = { 'grpc.service_config': JSON.stringify({ loadBalancingConfig: [{ round_robin: {} }] }) }

/** A gRPC server that answers every call with its name; gives its address. */
async function serve(t: TestContext, name: string): Promise<string> {
  const server = new grpc.Server()
  server.addService({ Name: method }, { Name: (_: unknown, answer: grpc.sendUnaryData<string>) => answer(null, name) })
  t.after(() => server.forceShutdown())
  const port = await new Promise<number>((resolve, reject) => {
    const credentials = grpc.ServerCredentials.createInsecure()
    server.bindAsync('127.0.0.1:0', credentials, (error, bound) => (error === null ? resolve(bound) : reject(error)))
  })
  return `127.0.0.1:${port}`
}

/** Calls the service through a channel to `target`. */
function callerOf(t: TestContext, target: string): () => Promise<string> {
  const client = new grpc.Client(target, grpc.credentials.createInsecure(), roundRobin)
  t.after(() => client.close())
  return () =>
    new Promise((resolve, reject) => {
      const { path, requestSerialize, responseDeserialize } = method
      const options = { deadline: Date.now() + 5000 }
      client.makeUnaryRequest(path, requestSerialize, responseDeserialize, 'who', options, (error, name) =>
        error === null ? resolve(name ?? '') : reject(error),
      )
    })
}

/** The names that answer when the service is called often enough. */
async function answers(call: () => Promise<string>): Promise<string[]> {
  const names = await Promise.all(Array.from({ length: 8 }, call))
  return [...new Set(names)].sort()
}

describe('The endpoints of a service', () => {
  const cluster = useCluster()
  const etcd = useClient(cluster)

  test('are added, listed and deleted, several in one transaction', async () => {
    const service = new ServiceEndpoints(etcd, 'svc/one')
    await service.add({ address: '10.0.0.1:80' })
    await service.add({ name: 'b', address: '10.0.0.2:80', metadata: { zone: 'b' } })
    await etcd.put('svc/one/broken', 'no record')
    await etcd.put('svc/one-more/c', '{"Op":0,"Addr":"10.0.0.3:80","Metadata":null}')
    const [first, second] = [
      { name: '10.0.0.1:80', address: '10.0.0.1:80', metadata: undefined },
      { name: 'b', address: '10.0.0.2:80', metadata: { zone: 'b' } },
    ]
    assert.deepEqual(await service.list(), [first, second])
    assert.equal((await etcd.get('svc/one/b'))?.valueText, '{"Op":0,"Addr":"10.0.0.2:80","Metadata":{"zone":"b"}}')
    await service.update([
      { op: 'delete', name: 'b' },
      { op: 'add', endpoint: { name: 'c', address: '10.0.0.3:80' } },
    ])
    assert.deepEqual(
      (await service.list()).map(({ name }) => name),
      ['10.0.0.1:80', 'c'],
    )
    const [one, two] = await Promise.all([etcd.get('svc/one/c'), etcd.get('svc/one/b')])
    assert.deepEqual([one?.version, two], [1, undefined])
    await service.delete('none')
    await assert.rejects(service.update([Object({ op: 'put' })]), /`op` must be 'add' or 'delete', got "put"/)
  })

  test('are watched as a whole, existing ones included', async (t) => {
    const service = new ServiceEndpoints(etcd.namespace('ns/'), 'svc/two')
    const abort = new AbortController()
    const watch = service.watch({ signal: abort.signal })
    const next = async (): Promise<string[]> => {
      const { value } = await watch.next()
      return (value ?? assert.fail('the watch has ended')).map(({ name }) => name)
    }
    assert.deepEqual(await next(), [])
    await service.add({ name: 'a', address: 'h:1' })
    assert.deepEqual(await next(), ['a'])
    const lease = await etcd.lease.grant(60)
    await service.add({ name: 'b', address: 'h:2' }, { lease: lease.id })
    assert.deepEqual(await next(), ['a', 'b'])
    await lease.revoke()
    assert.deepEqual(await next(), ['a'])
    const reason = new Error('enough')
    const last = watch.next()
    abort.abort(reason)
    await assert.rejects(last, reason)
    const closing = createClient(t, cluster)
    const closed = new ServiceEndpoints(closing, 'svc/two').watch()
    await closed.next()
    const ending = closed.next()
    await closing.close()
    await assert.rejects(ending, { code: 'CLOSED' })
  })

  test('that become unreadable are reported, with their last readable value', async () => {
    const errors: unknown[] = []
    const updates: string[][] = []
    const service = new ServiceEndpoints(etcd, 'svc/unreadable')
    await service.add({ name: 'a', address: 'h:1' })
    const following = service.subscribe({
      onEndpoints: (endpoints) => updates.push(endpoints.map(({ address }) => address)),
      onError: (error) => errors.push(error),
    })
    await poll('they are known', () => updates.length > 0 || undefined)
    await etcd.put('svc/unreadable/a', 'not a record')
    await poll('the error is reported', () => errors.length > 0 || undefined)
    assert.ok(isEtcdError(errors[0], 'DECODE_FAILED'))
    assert.deepEqual(updates.at(-1), ['h:1'])
    await following.close()
  })

  test('are registered while the registration is kept', async () => {
    const service = new ServiceEndpoints(etcd, 'svc/three')
    const registration = await service.register({ address: 'h:1' }, { ttlSeconds: 5 })
    const [kv] = (await etcd.range({ prefix: 'svc/three/' })).kvs
    assert.deepEqual([kv?.keyText, kv?.lease], ['svc/three/h:1', registration.leaseId])
    await service.delete('h:1')
    await poll('it is put back', async () => (await service.list()).length === 1 || undefined)
    await registration.close()
    assert.deepEqual(await service.list(), [])
  })

  test('are called by grpc-js, which follows changes, also while etcd is unavailable', async (t) => {
    registerResolver(grpc, etcd)
    const service = new ServiceEndpoints(etcd, 'svc/four')
    const call = callerOf(t, 'etcd:///svc/four')
    await assert.rejects(call(), /UNAVAILABLE: etcd: the service svc\/four has no endpoints/)
    await service.add({ name: 'a', address: await serve(t, 'a') })
    await poll('a is called', async () => (await answers(call).catch(() => [])).join() === 'a' || undefined)
    await service.add({ name: 'b', address: await serve(t, 'b') })
    await poll('both are called', async () => (await answers(call)).join() === 'a,b' || undefined)
    await cluster.kill(0)
    assert.deepEqual(await answers(call), ['a', 'b'])
    await cluster.restart(0)
    await service.delete('a')
    await poll('only b is called', async () => (await answers(call)).join() === 'b' || undefined)
    await service.delete('b')
    await poll('nobody is called', () =>
      call().then(
        () => undefined,
        () => true,
      ),
    )
  })

  test('are unknown to grpc-js until they have been read once', async (t) => {
    const lost = new Etcd({ endpoints: ['http://127.0.0.1:1'], connectTimeoutMs: 100 })
    t.after(() => lost.close())
    registerResolver(grpc, lost, { scheme: 'etcd-lost' })
    await assert.rejects(callerOf(t, 'etcd-lost:///svc')(), /UNAVAILABLE: etcd: \[NOT_CONNECTED\]/)
  })
})
