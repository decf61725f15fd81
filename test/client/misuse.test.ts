import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'
import { Etcd, InvalidArgumentError, key } from '../../src/index.js'
import { attemptRecords } from '../support/fixtures.js'

/** What a program in JavaScript can do with it. */
type Untyped = Record<string, (...args: unknown[]) => unknown>

describe('Mistakes of programs in JavaScript are refused with what to do instead:', () => {
  const etcd = new Etcd({ endpoints: 'http://127.0.0.1:1' })
  const js = etcd as unknown as Untyped
  const lease = etcd.lease as unknown as Untyped
  const client = (options: unknown) => () => new Etcd(options as never)
  after(() => etcd.close())

  const cases: Readonly<Record<string, readonly [action: () => unknown, message: RegExp]>> = {
    'a promise as a value': [() => js.put?.('a', Promise.resolve('b')), /`value` must be .*, got a promise: await it$/],
    'a promise as a key': [() => js.get?.(Promise.resolve('b')), /`key` must be .*, got a promise: await it$/],
    'a promise as a range': [() => js.range?.(Promise.resolve('b')), /got a promise: await it$/],
    'a number as a value': [() => js.put?.('a', 5), /got 5: pass String\(value\)$/],
    'a bigint as a value': [() => js.put?.('a', 5n), /got 5n: pass String\(value\)$/],
    'a boolean as a value': [() => js.put?.('a', true), /got true: pass String\(value\)$/],
    'a date as a value': [() => js.put?.('a', new Date()), /pass value\.toISOString\(\)$/],
    'an object as a value': [() => js.put?.('a', { b: 1 }), /pass JSON\.stringify\(value\)$/],
    'null as a value': [() => js.put?.('a', null), /got null: delete\(\) deletes a key$/],
    'a range for one key': [
      () => js.get?.({ prefix: 'a' }),
      /for a range there are range\(\), list\(\) and deleteRange\(\)$/,
    ],
    'a callback': [
      () => js.get?.('a', () => {}),
      /options of get\(\) must be an object, got a function: there are no callbacks/,
    ],
    'a TTL by another name': [
      () => js.put?.('a', 'b', { ttl: 10 }),
      /unknown option `ttl` of put\(\): did you mean `ttlSeconds`\?$/,
    ],
    'a misspelt option': [() => js.put?.('a', 'b', { prevKV: true }), /did you mean `prevKv`\?$/],
    'a timeout by another name': [() => js.get?.('a', { timeout: 5 }), /did you mean `timeoutMs`\?$/],
    'a decimal lease': [
      () => js.put?.('a', 'b', { lease: '7587869134908387938' }),
      /that is decimal, pass BigInt\(id\)\.toString\(16\)$/,
    ],
    'a lease as a number': [() => js.put?.('a', 'b', { lease: 7587 }), /got 7587: pass the text that etcdctl prints$/],
    'a decimal lease to revoke': [() => lease.revoke?.('7587869134908387938'), /that is decimal/],
    'a lease as a bigint': [
      () => key('a').lease.equals(7587869134908387938n as never),
      /pass the text that etcdctl prints$/,
    ],
    'getAll() of npm etcd3': [
      () => js.getAll?.(),
      /getAll\(\) is a call of another client: list a range with list\(\{ prefix \}\).*etcdkit\/etcd3/,
    ],
    'if() of npm etcd3': [() => js.if?.('a', 'Version', '==', 0), /txn\(\)\.if\(/],
    'put() of npm etcd3': [() => js.put?.('a'), /`value` must be a string or bytes, got undefined/],
    'watch() of npm etcd3': [
      () => js.watch?.(),
      /the range must be a key, \{ key \}, \{ prefix \} or \{ from, to \}, got undefined/,
    ],
    'set() of a cache': [() => js.set?.('a', 'b'), /a key is written with put\(key, value\)/],
    'del() of a cache': [() => js.del?.('a'), /a key is deleted with delete\(key\)/],
    'hosts of npm etcd3': [
      client({ hosts: 'a' }),
      /unknown option `hosts` of new Etcd\(\): the members are `endpoints`$/,
    ],
    'a password beside auth': [
      client({ endpoints: 'a', password: 'hush' }),
      /users are `auth: \{ username, password \}`$/,
    ],
    'no endpoints': [client({}), /`endpoints` is empty/],
    'no options': [client(undefined), /new Etcd\(\) takes options or a connection string, got undefined/],
    'a port alone': [client('2379:'), /`endpoints` must be http:\/\/host:port/],
  }

  for (const [mistake, [action, message]] of Object.entries(cases)) {
    test(mistake, async (t) => {
      const attempts = attemptRecords(t)
      const failure = await new Promise((resolve) => resolve(action())).then(
        () => assert.fail('accepted'),
        (error: unknown) => error,
      )
      assert.ok(failure instanceof InvalidArgumentError, String(failure))
      assert.match(failure.message, message)
      assert.ok(!failure.message.includes('hush'))
      assert.equal(attempts.length, 0)
    })
  }

  test('an address without a port has the port of etcd', async () => {
    for (const input of ['localhost', 'http://localhost', ['localhost'], { endpoints: 'localhost' }]) {
      const made = new Etcd(Array.isArray(input) ? { endpoints: input } : input)
      assert.deepEqual(
        made.endpoints().map(({ endpoint }) => endpoint),
        ['http://localhost:2379'],
      )
      await made.close()
    }
  })
})
