import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { Informer } from '../../src/informer/informer.js'
import { deleteKey, type Operation, put } from '../../src/kv/operation.js'
import { endpointCodec } from '../../src/naming/endpoint-record.js'
import { type GrpcLibrary, type GrpcResolverClass, registerResolver } from '../../src/naming/grpc-resolver.js'
import { type NamingStore, ServiceEndpoints } from '../../src/naming/service-endpoints.js'
import { FakeSource, failure, pageOf } from '../informer/fake-source.js'
import { batchOf, settled } from '../informer/fixtures.js'

/** A store whose informers follow what a test says; the service `s` has the endpoint `a`. */
function createStore(t: TestContext) {
  const sources: FakeSource[] = []
  const store = {
    txn: () => assert.fail(),
    informer: () => {
      const source = new FakeSource()
      source.listings.push([pageOf({ 's/a': record('a:1') }, 7)])
      sources.push(source)
      const informer = new Informer(source, { prefix: 's/' }, { codec: endpointCodec })
      t.after(() => informer.close())
      return informer
    },
  }
  return { store: store as unknown as NamingStore, sources }
}

function record(address: string): string {
  return JSON.stringify({ Op: 0, Addr: address, Metadata: null })
}

describe('A subscription to endpoints', () => {
  test('reports changes that arrive together once, and errors, until it is closed', async (t) => {
    const { store, sources } = createStore(t)
    const reported: string[] = []
    const subscription = new ServiceEndpoints(store, 's').subscribe({
      onEndpoints: (endpoints) => reported.push(endpoints.map(({ address }) => address).join()),
      onError: (error, terminal) => reported.push(`${error} ${terminal}`),
    })
    await settled()
    await settled()
    const [source] = sources
    source?.happen(batchOf(8, { 's/b': record('b:1') }))
    source?.happen(batchOf(9, { 's/c': record('c:1') }))
    await settled()
    await settled()
    assert.deepEqual(reported, ['a:1', 'a:1,b:1,c:1'])
    source?.fail(failure('WATCH_CANCELED'))
    await settled()
    assert.match(reported.at(-1) ?? '', /WATCH_CANCELED false/)
    const { length } = reported
    source?.listings.push([pageOf({ 's/d': record('d:1') }, 10)])
    await new Promise((resolve) => setTimeout(resolve, 110))
    await settled()
    source?.happen(batchOf(11, { 's/e': record('e:1'), 's/f': 'invalid' }))
    const closed = subscription.close()
    source?.fail(failure('PERMISSION_DENIED'))
    await closed
    await settled()
    assert.deepEqual(reported.slice(length), ['d:1'])
  })
})

test('An iteration over endpoints survives errors that are retried, and ends its watch when it is left', async (t) => {
  const { store, sources } = createStore(t)
  const lists = new ServiceEndpoints(store, 's').watch()
  const addresses = async (): Promise<string[] | undefined> => (await lists.next()).value?.map(({ address }) => address)
  assert.deepEqual(await addresses(), ['a:1'])
  sources[0]?.listings.push([pageOf({ 's/b': record('b:1') }, 9)])
  sources[0]?.fail(failure('WATCH_CANCELED'))
  assert.deepEqual(await addresses(), ['b:1'])
  await lists.return()
  assert.equal(sources[0]?.watches.at(-1)?.signal.aborted, true)
})

test('Changes of endpoints are made within the limits of their call', async () => {
  const { signal } = new AbortController()
  const calls: unknown[] = []
  const txn = { then: () => txn, commit: async (options: unknown) => calls.push(options) }
  const service = new ServiceEndpoints({ txn: () => txn } as unknown as NamingStore, 's')
  const options = { timeoutMs: 5, signal }
  await service.add({ address: 'a:1' }, options)
  await service.delete('a:1', options)
  assert.deepEqual(calls, [options, options])
})

test('Endpoints are changed by their names, with their leases, and listed with the options of the caller', async () => {
  const seen: unknown[] = []
  const txn = {
    then(...operations: Operation[]) {
      seen.push(...operations.map(({ request }) => request))
      return txn
    },
    commit: async () => {},
  }
  const store = {
    txn: () => txn,
    register: async (...args: unknown[]) => seen.push(args),
    list(...args: unknown[]) {
      seen.push(args)
      return []
    },
  }
  const service = new ServiceEndpoints(store as unknown as NamingStore, 's')
  const stored = endpointCodec.encode({ address: 'a:1', metadata: undefined })
  await service.add({ address: 'a:1' }, { lease: '7' })
  await service.update([
    { op: 'delete', name: 'a:1' },
    { op: 'add', endpoint: { address: 'a:1', name: 'b' }, lease: '8' },
  ])
  await service.register({ address: 'a:1' }, { ttlSeconds: 9 })
  await service.list({ timeoutMs: 5 })
  assert.deepEqual(seen, [
    put('s/a:1', stored, { lease: '7' }).request,
    deleteKey('s/a:1').request,
    put('s/b', stored, { lease: '8' }).request,
    ['s/a:1', stored, { ttlSeconds: 9 }],
    [{ prefix: 's/' }, { timeoutMs: 5 }],
  ])
  const wrong = service.update([{ op: 'remove' as 'delete', name: 'a' }])
  await assert.rejects(wrong, /`op` must be 'add' or 'delete'/)
})

describe('A resolver of grpc-js', () => {
  /** A resolver, and what it reports to its channel. */
  function createResolver(t: TestContext) {
    const { store, sources } = createStore(t)
    let Resolver: GrpcResolverClass | undefined
    const registerClass = (scheme: string, made: GrpcResolverClass): void => {
      assert.equal(scheme, 'cluster')
      Resolver = made
    }
    const grpc: GrpcLibrary = { Metadata: class {}, experimental: { registerResolver: registerClass } }
    registerResolver(grpc, store, { scheme: 'cluster' })
    const reported: string[] = []
    const listener = ({ ok, value, error }: { ok: boolean; value?: object; error?: { details: string } }) =>
      reported.push(ok ? JSON.stringify(value) : (error?.details ?? ''))
    assert.ok(Resolver)
    return { resolver: new Resolver({ path: '/s' }, listener), sources, reported }
  }

  const known = JSON.stringify([{ addresses: [{ host: 'a', port: 1 }] }])

  test('keeps the known endpoints after an error, unless that is permanent', async (t) => {
    const { resolver, sources, reported } = createResolver(t)
    resolver.updateResolution()
    resolver.updateResolution()
    for (let turns = 0; turns < 3; turns += 1) await settled()
    assert.deepEqual([reported, sources.length], [[known], 1])
    sources[0]?.fail(failure('WATCH_CANCELED'))
    await settled()
    assert.deepEqual(reported, [known])
    sources[0]?.listings.push(failure('PERMISSION_DENIED'))
    await new Promise((resolve) => setTimeout(resolve, 110))
    await settled()
    assert.match(reported[1] ?? '', /^etcd: .*PERMISSION_DENIED/)
    resolver.destroy()
  })

  test('ends its watch when it is destroyed, and follows the service again when it is started again', async (t) => {
    const { resolver, sources, reported } = createResolver(t)
    resolver.updateResolution()
    for (let turns = 0; turns < 3; turns += 1) await settled()
    resolver.destroy()
    await settled()
    assert.equal(sources[0]?.watches[0]?.signal.aborted, true)
    resolver.updateResolution()
    for (let turns = 0; turns < 3; turns += 1) await settled()
    assert.deepEqual([reported, sources.length], [[known, known], 2])
    resolver.destroy()
  })
})
