import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { Follower } from '../../src/naming/follower.js'
import { type GrpcLibrary, type GrpcResolverClass, registerResolver } from '../../src/naming/grpc-resolver.js'
import { Latest } from '../../src/naming/latest.js'
import { type NamingStore, ServiceEndpoints } from '../../src/naming/service-endpoints.js'

/** An informer that emits what a test says. */
class FakeInformer {
  readonly #listeners = new Map<string, (payload: unknown) => void>()
  addresses: readonly string[] = []

  on(event: string, listener: (payload: unknown) => void): void {
    this.#listeners.set(event, listener)
  }

  emit(event: string, payload: unknown = {}): void {
    this.#listeners.get(event)?.(payload)
  }

  list(): object[] {
    return this.addresses.map((address) => ({ keyText: `a/s/${address}`, value: { address, metadata: undefined } }))
  }

  async close(): Promise<void> {}
}

/** A store whose informers are fake ones. */
function createStore() {
  const informers: FakeInformer[] = []
  const prefixes: unknown[] = []
  const informer = ({ prefix }: { prefix: string }): FakeInformer => {
    prefixes.push(prefix)
    informers.push(new FakeInformer())
    return informers.at(-1) ?? assert.fail()
  }
  const store: unknown = { txn() {}, informer }
  return { store: store as NamingStore, informers, prefixes }
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
const error = new Error('unreadable')

describe('A follower of endpoints', () => {
  test('reports unreadable endpoints as an error that passes, and nothing after it was closed', async () => {
    const informer = new FakeInformer()
    const reported: unknown[] = []
    const follower = new Follower(informer as never, 'a/s/', {
      onEndpoints: (endpoints) => reported.push(endpoints.length),
      onError: (...args) => reported.push(args),
    })
    informer.emit('invalid', { error })
    informer.emit('error', { error, terminal: true })
    assert.deepEqual(reported.splice(0), [
      [error, false],
      [error, true],
    ])
    informer.emit('change')
    await follower.close()
    informer.emit('invalid', { error })
    informer.emit('error', { error, terminal: true })
    await turn()
    assert.deepEqual(reported, [])
  })
})

describe('An iteration over endpoints', () => {
  test('ends with the first permanent error or abort, and not with one that is retried', async () => {
    const { store, informers } = createStore()
    const lists = new ServiceEndpoints(store, 's').watch()
    const rejected = assert.rejects(lists.next(), error)
    informers[0]?.emit('error', { error: new Error('retried'), terminal: false })
    informers[0]?.emit('error', { error, terminal: true })
    informers[0]?.emit('change')
    await rejected
    const before = new ServiceEndpoints(store, 's').watch({ signal: AbortSignal.abort(error) })
    await assert.rejects(before.next(), error)
    assert.equal(informers.length, 1, 'nothing is watched for it')
  })

  test('has the latest value, and keeps its error', async () => {
    const latest = new Latest<number>()
    latest.set(1)
    latest.set(2)
    assert.equal(await latest.take(), 2)
    latest.fail(error)
    latest.set(3)
    await assert.rejects(latest.take(), error)
    await assert.rejects(latest.take(), error)
  })
})

describe('A resolver of grpc-js', () => {
  /** The class that is registered, and what its resolvers report to the listener of each release of grpc-js. */
  function register() {
    const created = createStore()
    let Resolver: GrpcResolverClass | undefined
    const registerClass = (_: string, made: GrpcResolverClass): void => {
      Resolver = made
    }
    const grpc: GrpcLibrary = { Metadata: class {}, experimental: { registerResolver: registerClass } }
    registerResolver(grpc, created.store)
    const reported: unknown[] = []
    const now = ({ ok, value, error }: { ok: boolean; value: unknown; error: { details: string } }): unknown =>
      reported.push(ok ? value : error.details)
    const before = {
      onSuccessfulResolution: (endpoints: unknown) => reported.push(endpoints),
      onError: ({ code, details }: { code: number; details: string }) => reported.push(`${code} ${details}`),
    }
    return { ...created, Resolver: Resolver ?? assert.fail(), reported, now, before }
  }

  test('reports the valid addresses, and that there are none', async () => {
    const { Resolver, informers, prefixes, reported, now, before } = register()
    for (const listener of [now, before]) {
      const resolver = new Resolver({ path: '/a/s' }, listener)
      resolver.updateResolution()
      const informer = informers.at(-1) ?? assert.fail()
      informer.addresses = ['m:1', 'no address']
      informer.emit('ready')
      await turn()
      informer.addresses = []
      informer.emit('change')
      await turn()
      resolver.destroy()
    }
    const found = [[{ addresses: [{ host: 'm', port: 1 }] }], []]
    const none = 'etcd: the service a/s has no endpoints'
    assert.deepEqual(reported, [...found, none, ...found, `14 ${none}`])
    assert.deepEqual(prefixes, ['a/s/', 'a/s/'])
    const authorities = ['/a/s', '/a/s b', '/'].map((path) => Resolver.getDefaultAuthority({ path }))
    assert.deepEqual(authorities, ['s', 's-b', 'etcd'])
  })

  test('that is started again has no endpoints that an error would not end', async () => {
    const { Resolver, informers, reported, now } = register()
    const resolver = new Resolver({ path: '/a/s' }, now)
    resolver.updateResolution()
    informers[0]?.emit('ready')
    await turn()
    resolver.destroy()
    reported.length = 0
    resolver.updateResolution()
    informers[1]?.emit('error', { error, terminal: false })
    assert.deepEqual(reported, ['etcd: unreadable'])
    resolver.destroy()
  })
})
