import assert from 'node:assert/strict'
import { before, describe, type TestContext, test } from 'node:test'
import * as etcdkit from '../../src/index.js'
import { Etcd, EtcdError, InvalidArgumentError, isEtcdError, json, key, keys, put } from '../../src/index.js'
import { useClient, useCluster } from '../support/cluster.js'
import { memberAt, received } from '../support/cluster-view.js'
import { collect, createClient, untyped } from '../support/fixtures.js'

/** What is called, and what the message of its `InvalidArgumentError` says. */
type Case = readonly [call: () => unknown, message: string | RegExp]

const services = ['Range', 'Put', 'DeleteRange', 'Txn', 'Compact']
const loneSurrogate = 'a\ud800'
const wholeRange = 'the range must be a key, { key }, { prefix } or { from, to }, got'

describe('Bad input', () => {
  const cluster = useCluster()
  const etcd = useClient(cluster)
  /** The client as JavaScript sees it. */
  let js: ReturnType<typeof untyped>

  before(async () => {
    await etcd.connect()
    js = untyped(etcd)
  })

  /** Calls with these arguments. */
  const call =
    (name: string, ...args: unknown[]) =>
    () =>
      js[name]?.(...args)

  async function sent(): Promise<number> {
    const counts = await Promise.all(services.map((method) => received(memberAt(cluster, 0), method)))
    return counts.reduce((sum, count) => sum + count, 0)
  }

  async function refusal(run: () => unknown): Promise<Error> {
    try {
      await run()
    } catch (error) {
      assert.ok(error instanceof Error)
      return error
    }
    assert.fail(`${run} was accepted`)
  }

  /** Each is refused, by the message, with the caller's stack, and nothing of it reaches the member. */
  async function assertRefused(cases: readonly Case[]): Promise<void> {
    const before = await sent()
    for (const [run, message] of cases) {
      const error = await refusal(run)
      assert.ok(error instanceof InvalidArgumentError, `${error.stack}`)
      assert.ok(error instanceof TypeError && error instanceof EtcdError && isEtcdError(error, 'INVALID_ARGUMENT'))
      assert.deepEqual([error.effect, error.retryable], ['none', false])
      if (typeof message === 'string') assert.ok(error.message.includes(message), `${error.message} – not: ${message}`)
      else assert.match(error.message, message)
      assert.match(error.stack ?? '', /bad-input\.test/, error.message)
    }
    assert.equal(await sent(), before, 'something was sent')
  }

  test("in keys and values is rejected with the argument's name", async () => {
    const keyed = ['get', 'exists', 'touch', 'delete'] as const
    await assertRefused([
      ...keyed.flatMap((name): Case[] => [
        [call(name), '`key` must be a string or bytes, got undefined'],
        [call(name, 5), '`key` must be a string or bytes, got 5'],
        [call(name, null), '`key` must be a string or bytes, got null'],
        [call(name, ['a']), '`key` must be a string or bytes, got an array'],
        [call(name, loneSurrogate), '`key` must be well-formed text, got a string with a lone surrogate'],
      ]),
      [call('put', 5, 'x'), '`key` must be a string or bytes, got 5'],
      [call('put', 'a'), '`value` must be a string or bytes, got undefined'],
      [call('put', 'a', 5), '`value` must be a string or bytes, got 5: pass String(value)'],
      [call('put', 'a', { port: 1 }), '`value` must be a string or bytes, got an object: pass JSON.stringify(value)'],
      [call('put', 'a', loneSurrogate), '`value` must be well-formed text'],
      [call('putIf', 'a', 5, 0), '`value` must be a string or bytes, got 5: pass String(value)'],
      [
        call('get', { prefix: 'a' }),
        '`key` must be a string or bytes, got an object: for a range there are range(), list() and deleteRange()',
      ],
      [call('putIf', 'a', 'x'), '`modRevision` must be a whole number of at least 0, got undefined'],
      [call('putIf', 'a', 'x', -1), '`modRevision` must be a whole number of at least 0, got -1'],
      [call('deleteIf', 'a', 1.5), '`modRevision` must be a whole number of at least 0, got 1.5'],
      [call('deleteIf', 'a', 5n), '`modRevision` must be a whole number of at least 0, got 5n'],
      [call('update', 5, () => 'x'), '`key` must be a string or bytes, got 5'],
      [call('update', 'a', 'x'), 'update() takes a function, got "x"'],
      [call('compact'), '`revision` must be a whole number of at least 1, got undefined'],
      [call('compact', 0), '`revision` must be a whole number of at least 1, got 0'],
      [call('compact', Number.NaN), '`revision` must be a whole number of at least 1, got NaN'],
      [call('namespace'), '`prefix` must be a string or bytes, got undefined'],
      [call('namespace', ''), '`prefix` of a namespace must have at least one byte'],
    ])
  })

  test('to as() is rejected: it takes a codec', async () => {
    await etcd.put('as', '1')
    const kv = await etcd.get('as')
    assert.ok(kv)
    const js = untyped(kv)
    await assertRefused([
      [() => js.as?.(), 'as() takes a codec such as json(), got undefined'],
      [() => js.as?.(json), 'as() takes a codec such as json(), got a function'],
    ])
  })

  test('in ranges is rejected', async () => {
    const ranged = ['range', 'count', 'list', 'deleteRange'] as const
    await assertRefused(
      ranged.flatMap((name): Case[] => [
        [call(name), `${wholeRange} undefined`],
        [call(name, {}), `${wholeRange} an object`],
        [call(name, { prefix: 'a', key: 'b' }), `${wholeRange} an object`],
        [call(name, { to: 'b' }), `${wholeRange} an object with "to"`],
        [call(name, { prefx: 'secret' }), /got an object with "prefx"$/],
        [call(name, { from: 'b', to: 'a' }), '`to` must be after `from`, got from "b" to "a"'],
        [call(name, { from: 'a', to: 'a' }), '`to` must be after `from`'],
        [call(name, { prefix: 5 }), '`prefix` must be a string or bytes, got 5'],
        [call(name, { from: loneSurrogate }), '`from` must be well-formed text'],
        [call(name, { from: 'a', to: 5 }), '`to` must be a string or bytes, got 5'],
      ]),
    )
  })

  test("in read options is rejected with the option's name", async () => {
    const read = (name: string, options: unknown) => call(name, 'a', options)
    const numbers = ['minModRevision', 'maxModRevision', 'minCreateRevision', 'maxCreateRevision'] as const
    const bad = [-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53, '1', 1n, null]
    await assertRefused([
      ...['get', 'exists', 'range', 'count', 'list'].flatMap((name): Case[] => [
        ...[...bad, 0].map(
          (revision): Case => [read(name, { revision }), '`revision` must be a whole number of at least 1, got'],
        ),
        [read(name, { mode: 'fast' }), "`mode` must be 'linearizable' or 'serializable' or 'cached', got \"fast\""],
        [read(name, { prefer: 'me' }), "`prefer` must be 'nearest' or 'leader' or 'learner'"],
        [read(name, { fallback: true }), "`fallback` must be 'serializable', got true"],
        [
          read(name, { mode: 'serializable', fallback: 'serializable' }),
          '`fallback` applies to linearizable reads only',
        ],
      ]),
      ...[...bad, 0].map((limit): Case => [read('range', { limit }), '`limit` must be a whole number of at least 1']),
      ...numbers.flatMap((name) => bad.map((value): Case => [read('range', { [name]: value }), `\`${name}\` must be`])),
      ...[...bad, 0].map((maxPageSize): Case => [read('list', { maxPageSize }), '`maxPageSize` must be a whole']),
      [read('range', { sort: 'key' }), 'options of sort must be an object, got "key"'],
      [read('range', { sort: {} }), "`sort.target` must be 'key' or 'version'"],
      [read('range', { sort: { target: 'size' } }), /`sort.target` must be .*, got "size"/],
      [
        read('range', { sort: { target: 'key', order: 'up' } }),
        "`sort.order` must be 'ascend' or 'descend', got \"up\"",
      ],
      [read('range', { sort: { target: 'key', ordr: 'up' } }), 'unknown option `ordr` of sort: did you mean `order`?'],
      ...['get', 'range', 'list'].map(
        (name): Case => [read(name, { keysOnly: 1 }), '`keysOnly` must be true or false'],
      ),
      [read('list', { onCompacted: 'again' }), "`onCompacted` must be 'throw' or 'restart'"],
      [read('list', { onRestart: 'me' }), '`onRestart` must be a function, got "me"'],
    ])
  })

  test("in write options is rejected with the option's name", async () => {
    const writes: Record<string, (options: unknown) => () => unknown> = {
      put: (options) => call('put', 'a', 'x', options),
      touch: (options) => call('touch', 'a', options),
      putIf: (options) => call('putIf', 'a', 'x', 0, options),
      update: (options) => call('update', 'a', () => 'x', options),
    }
    await assertRefused([
      ...Object.values(writes).flatMap((write): Case[] => [
        ...[5, '', 'xyz', '11112222333344445', null, 5n].map(
          (lease): Case => [write({ lease }), '`lease` must be 1 to 16 hexadecimal digits, got'],
        ),
        [write({ ignoreLease: 'yes' }), '`ignoreLease` must be true or false, got "yes"'],
        [write({ lease: 'ab', ignoreLease: true }), '`lease` and `ignoreLease` exclude each other'],
      ]),
      [call('put', 'a', 'x', { prevKv: 1 }), '`prevKv` must be true or false, got 1'],
      [call('delete', 'a', { prevKv: 1 }), '`prevKv` must be true or false, got 1'],
      [call('deleteRange', 'a', { prevKv: null }), '`prevKv` must be true or false, got null'],
      [call('compact', 1, { physical: 'yes' }), '`physical` must be true or false, got "yes"'],
      [call('update', 'a', () => 'x', { maxAttempts: 0 }), '`maxAttempts` must be a whole number of at least 1, got 0'],
    ])
  })

  test('in common call options is rejected, and so are unknown options', async () => {
    const calls: Record<string, (options: unknown) => () => unknown> = {
      connect: (options) => call('connect', options),
      get: (options) => call('get', 'a', options),
      exists: (options) => call('exists', 'a', options),
      range: (options) => call('range', 'a', options),
      count: (options) => call('count', 'a', options),
      list: (options) => call('list', 'a', options),
      put: (options) => call('put', 'a', 'x', options),
      touch: (options) => call('touch', 'a', options),
      delete: (options) => call('delete', 'a', options),
      deleteRange: (options) => call('deleteRange', 'a', options),
      putIf: (options) => call('putIf', 'a', 'x', 0, options),
      deleteIf: (options) => call('deleteIf', 'a', 0, options),
      update: (options) => call('update', 'a', () => 'x', options),
      compact: (options) => call('compact', 1, options),
      commit: (options) => () => untyped(etcd.txn()).commit?.(options),
    }
    await assertRefused(
      Object.entries(calls).flatMap(([name, withOptions]): Case[] => [
        [withOptions(null), `options of ${name}() must be an object, got null`],
        [withOptions(5), `options of ${name}() must be an object, got 5`],
        [withOptions([]), `options of ${name}() must be an object, got an array`],
        [withOptions({ timeout: 5 }), `unknown option \`timeout\` of ${name}(): did you mean \`timeoutMs\`?`],
        [withOptions({ retries: 5 }), `unknown option \`retries\` of ${name}(): known are `],
        [withOptions(JSON.parse('{"__proto__": 1}')), `unknown option \`__proto__\` of ${name}()`],
        [withOptions({ timeoutMs: -1 }), '`timeoutMs` must be milliseconds, at least 0, or Infinity, got -1'],
        [withOptions({ timeoutMs: Number.NaN }), '`timeoutMs` must be milliseconds, at least 0, or Infinity, got NaN'],
        [withOptions({ timeoutMs: '5s' }), '`timeoutMs` must be milliseconds, at least 0, or Infinity, got "5s"'],
        [withOptions({ signal: {} }), '`signal` must be an AbortSignal, got an object'],
      ]),
    )
  })

  test('in transactions is rejected where the operation is created', async () => {
    const js = untyped(etcdkit)
    const txn = () => untyped(etcd.txn())
    const options = { timeoutMs: 5 }
    await assertRefused([
      [() => txn().if?.(5), "if() takes comparisons such as key('a').exists(), got 5"],
      [() => txn().if?.(null), "if() takes comparisons such as key('a').exists(), got null"],
      [() => txn().then?.('get'), "then() takes operations such as put('a', '1'), got \"get\""],
      [() => txn().else?.(undefined), "else() takes operations such as put('a', '1'), got undefined"],
      [() => js.key?.(5), '`key` must be a string or bytes, got 5'],
      [() => js.keys?.({}), `${wholeRange} an object`],
      [() => key('a').version.equals(-1), '`version` must be a whole number of at least 0, got -1'],
      [() => untyped(key('a').modRevision).less?.('1'), '`modRevision` must be a whole number of at least 0, got "1"'],
      [() => untyped(key('a').value).equals?.(5), '`value` must be a string or bytes, got 5'],
      [() => untyped(key('a').lease).equals?.(undefined), '`lease` must be 1 to 16 hexadecimal digits, got undefined'],
      [() => js.get?.('a', options), 'unknown option `timeoutMs` of get(): known are revision, keysOnly'],
      [() => js.range?.('a', options), 'unknown option `timeoutMs` of range()'],
      [() => js.put?.('a', 'x', options), 'unknown option `timeoutMs` of put()'],
      [() => js.put?.('a', 'x', { lease: 5 }), '`lease` must be 1 to 16 hexadecimal digits, got 5'],
      [() => js.put?.('a', 5), '`value` must be a string or bytes, got 5'],
      [() => js.deleteKey?.('a', options), 'unknown option `timeoutMs` of deleteKey()'],
      [() => js.deleteRange?.('a', options), 'unknown option `timeoutMs` of deleteRange()'],
      [() => etcdkit.txn().commit(), 'a transaction made by txn() can only be nested'],
    ])
  })

  test('in events and endpoints of a running client is rejected', async () => {
    await assertRefused([
      [call('on', 'ready', () => {}), "`event` must be 'endpointReady' or"],
      [call('on', 'leaderChanged', 5), '`listener` must be a function, got 5'],
      [call('setEndpoints', []), '`endpoints` is empty'],
      [call('setEndpoints', 5), '`endpoints` must be a string or an array of strings, got 5'],
      [call('setEndpoints', ['http://a', 'https://b']), '`endpoints` must all use TLS or all use plain text'],
    ])
  })

  test('empty keys are EMPTY_KEY wherever a key is required', async () => {
    const before = await sent()
    const empty: (() => unknown)[] = [
      ...['get', 'exists', 'touch', 'delete', 'range', 'count', 'list', 'deleteRange'].map((name) => call(name, '')),
      call('range', { key: '' }),
      call('get', new Uint8Array()),
      call('put', '', 'x'),
      call('putIf', '', 'x', 0),
      call('deleteIf', '', 0),
      call('update', '', () => 'x'),
      () => put('', 'x'),
      () => etcdkit.get(''),
      () => etcdkit.range(''),
      () => etcdkit.deleteKey(''),
      () => etcdkit.deleteRange(''),
      () => key(''),
      () => keys(''),
    ]
    for (const run of empty) {
      const error = await refusal(run)
      assert.ok(isEtcdError(error, 'EMPTY_KEY'), error.message)
      assert.equal(error.effect, 'none')
      assert.match(error.stack ?? '', /bad-input\.test/)
    }
    assert.equal(await sent(), before)
  })

  test('does not include NUL bytes and empty values', async () => {
    await etcd.put('a\0b\0', '\0')
    assert.equal((await etcd.get('a\0b\0'))?.valueText, '\0')
    await etcd.put('\0', '')
    assert.equal((await etcd.range({ from: '', to: 'a' })).kvs[0]?.keyText, '\0')
  })

  test('requests and transactions over the limit are rejected before they are sent, with size and limit', async (t) => {
    const before = await sent()
    await assert.rejects(etcd.put('large', 'x'.repeat(1_572_864)), (error) => {
      assert.ok(isEtcdError(error, 'REQUEST_TOO_LARGE'))
      assert.match(error.message, /request is too large: 15728\d\d bytes, over maxRequestBytes = 1572864/)
      assert.match(error.stack ?? '', /bad-input\.test/)
      return error.effect === 'none'
    })
    const operations = Array.from({ length: 129 }, (_, index) => put(`op/${index}`, ''))
    const tooMany = { code: 'TOO_MANY_OPS', effect: 'none' }
    const larger = { ...tooMany, message: /the transaction has 129 operations or comparisons, over maxTxnOps = 128/ }
    const [first = put('a', ''), ...rest] = operations
    const nested = etcdkit.txn().then(...rest.slice(1))
    await assert.rejects(
      etcd
        .txn()
        .then(...operations)
        .commit(),
      larger,
    )
    await assert.rejects(
      etcd
        .txn()
        .else(...operations)
        .commit(),
      larger,
    )
    await assert.rejects(
      etcd
        .txn()
        .if(...operations.map((_, index) => key(`op/${index}`).exists()))
        .commit(),
      larger,
    )
    await assert.rejects(etcd.txn().then(first, put('b', ''), nested.asOperation()).commit(), tooMany)
    assert.equal(await sent(), before)
    const { succeeded } = await createClient(t, cluster)
      .txn()
      .then(...rest)
      .commit()
    assert.ok(succeeded, '128 are not too many')
  })

  test('an aborted signal rejects with its reason, and nothing is sent', async () => {
    const reason = new Error('gone')
    const options = { signal: AbortSignal.abort(reason) }
    const before = await sent()
    const calls: (() => Promise<unknown>)[] = [
      () => etcd.connect(options),
      () => etcd.get('a', options),
      () => etcd.put('aborted', 'x', options),
      () => etcd.deleteRange({ prefix: '' }, options),
      () => etcd.txn().then(put('aborted', '')).commit(options),
      () => etcd.update('aborted', () => 'x', options),
      () => collect(etcd.list({ prefix: '' }, options)),
    ]
    for (const run of calls) await assert.rejects(run(), reason)
    assert.equal(await sent(), before)
  })

  test('a timeout of 0 rejects with DEADLINE_EXCEEDED immediately, for that call only', async () => {
    const before = await sent()
    await assert.rejects(etcd.put('late', 'x', { timeoutMs: 0 }), { code: 'DEADLINE_EXCEEDED', effect: 'none' })
    assert.equal(await sent(), before)
    await etcd.get('late', { timeoutMs: Number.POSITIVE_INFINITY })
    assert.equal(await etcd.get('late', { timeoutMs: 1e12 }), undefined)
  })

  test('a revision in the future is FUTURE_REVISION', async () => {
    const expected = { code: 'FUTURE_REVISION', effect: 'none' }
    for (const mode of ['linearizable', 'serializable'] as const) {
      await assert.rejects(etcd.get('a', { revision: 1e12, mode }), expected)
      await assert.rejects(collect(etcd.list({ prefix: '' }, { revision: 1e12, mode })), expected)
    }
  })

  test('every call on a closed client is CLOSED', async (t) => {
    const closed = createClient(t, cluster)
    await closed.get('a')
    const under = closed.get('a')
    await closed.close()
    await closed.close()
    await assert.rejects(under, { code: 'CLOSED' })
    const calls: (() => Promise<unknown>)[] = [
      () => closed.connect(),
      () => closed.get('a'),
      () => closed.put('a', ''),
      () => closed.delete('a'),
      () => closed.txn().commit(),
      () => closed.update('a', () => ''),
      () => closed.compact(1),
      () => closed.namespace('a').count('a'),
      () => collect(closed.list({ prefix: '' })),
    ]
    for (const run of calls) {
      const error = await refusal(run)
      assert.ok(isEtcdError(error, 'CLOSED') && error.effect === 'none', error.message)
      assert.match(error.stack ?? '', /bad-input\.test/)
    }
  })
})

describe('Bad client options', () => {
  const made = (t: TestContext, options: unknown): Etcd => {
    const etcd = new Etcd(options as string)
    t.after(() => etcd.close())
    return etcd
  }

  test('are rejected by name when the client is created', (t) => {
    const endpoints = 'http://127.0.0.1:1'
    const counts = ['maxRequestBytes', 'maxTxnOps', 'maxRangeKeys', 'maxRangeBytes']
    const durations = ['timeoutMs', 'connectTimeoutMs', 'keepaliveMs', 'keepaliveTimeoutMs']
    const cases: (readonly [unknown, string])[] = [
      [undefined, 'new Etcd() takes options or a connection string, got undefined'],
      [null, 'new Etcd() takes options or a connection string, got null'],
      [5, 'new Etcd() takes options or a connection string, got 5'],
      [[], 'options of new Etcd() must be an object, got an array'],
      [{}, '`endpoints` is empty: at least one endpoint is required'],
      [{ endpoints: [] }, '`endpoints` is empty'],
      [{ endpoints: 5 }, '`endpoints` must be a string or an array of strings, got 5'],
      [{ endpoints: [endpoints, 5] }, '`endpoints` must be a string or an array of strings, got 5 in it'],
      ['', '`endpoints` must be http://host:port'],
      [{ endpoints: 'http://a:x' }, '`endpoints` must be http://host:port'],
      [{ endpoints: ['http://a', 'https://b'] }, '`endpoints` must all use TLS or all use plain text'],
      [{ endpoints, hosts: ['a'] }, 'unknown option `hosts` of new Etcd(): the members are `endpoints`'],
      [{ endpoints, timeout: 5 }, 'unknown option `timeout` of new Etcd(): did you mean `timeoutMs`?'],
      [{ endpoints, discovery: { domain: 'x' } }, '`endpoints` and `discovery` exclude each other'],
      [{ discovery: 'x' }, 'options of discovery must be an object, got "x"'],
      [{ discovery: {} }, '`discovery.domain` must be a domain name, got undefined'],
      [{ discovery: { domain: 'x', name: 5 } }, '`discovery.name` must be a string, got 5'],
      [{ discovery: { domain: 'x', intervalMs: 0 } }, '`discovery.intervalMs` must be milliseconds, at least 1'],
      [{ endpoints, memberSync: true }, 'options of memberSync must be an object, got true'],
      [{ endpoints, memberSync: { intervalMs: 0 } }, '`memberSync.intervalMs` must be milliseconds, at least 1'],
      [{ endpoints, memberSync: { interval: 5 } }, 'did you mean `intervalMs`?'],
      [{ endpoints, namespace: 5 }, '`namespace` must be a string or bytes, got 5'],
      [{ endpoints, namespace: loneSurrogate }, '`namespace` must be well-formed text'],
      [{ endpoints, tls: true }, '`tls` must be an object, got true'],
      [{ endpoints, useProxyEnvironment: 'yes' }, '`useProxyEnvironment` must be true or false, got "yes"'],
      [{ endpoints, keepaliveMs: 4999 }, '`keepaliveMs` must be at least 5000, got 4999'],
      [{ endpoints, reads: 'serializable' }, 'options of reads must be an object, got "serializable"'],
      [
        { endpoints, reads: { default: 'fast' } },
        "`mode` must be 'linearizable' or 'serializable' or 'cached', got \"fast\"",
      ],
      [{ endpoints, reads: { default: 5 } }, 'options of reads.default must be an object, got 5'],
      [{ endpoints, reads: { rules: {} } }, '`reads.rules` must be an array, got an object'],
      [{ endpoints, reads: { rules: ['a'] } }, '`reads.rules` must hold objects with a prefix, got "a"'],
      [{ endpoints, reads: { rules: [{}] } }, '`prefix` must be a string or bytes, got undefined'],
      [{ endpoints, reads: { rules: [{ prefix: 'a', mode: 'fast' }] } }, "`mode` must be 'linearizable' or"],
      [{ endpoints, reads: { rules: [{ prefix: 'a', made: 'x' }] } }, 'unknown option `made` of reads.rules'],
      ...counts.flatMap((name) =>
        [0, -1, 1.5, Number.NaN, '5'].map(
          (value) => [{ endpoints, [name]: value }, `\`${name}\` must be a whole number of at least 1, got`] as const,
        ),
      ),
      ...durations.flatMap((name) =>
        [-1, Number.NaN, '5'].map(
          (value) => [{ endpoints, [name]: value }, `\`${name}\` must be milliseconds, at least 0, or`] as const,
        ),
      ),
      ...['auth', 'tls', 'reads', 'timeoutMs', 'namespace', 'discovery'].map(
        (name) => [{ endpoints, [name]: null }, `\`${name}\` must be left out or undefined, got null`] as const,
      ),
    ]
    for (const [options, message] of cases) {
      assert.throws(
        () => made(t, options),
        (error) => {
          assert.ok(error instanceof InvalidArgumentError, String(error))
          assert.ok(error.message.includes(message), `${error.message} – not: ${message}`)
          return /bad-input\.test/.test(error.stack ?? '')
        },
      )
    }
  })
})
