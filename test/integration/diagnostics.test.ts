import assert from 'node:assert/strict'
import { afterEach, describe, type TestContext, test } from 'node:test'
import {
  type AttemptRecord,
  type CallRecord,
  channels,
  type Etcd,
  EtcdError,
  isEtcdError,
  key,
  put,
} from '../../src/index.js'
import { poll, reservePort } from '../../src/testing/index.js'
import { runScript } from '../support/child.js'
import { useCluster } from '../support/cluster.js'
import { memberAt, proxyAt } from '../support/cluster-view.js'
import { attemptRecords, collect, createClient } from '../support/fixtures.js'

const ok = { ok: true }

/** Collects what is published on `etcdkit:call` during the test. */
function callRecords(t: TestContext): CallRecord[] {
  const records: CallRecord[] = []
  const listen = (record: unknown): number => records.push(record as CallRecord)
  channels.call.subscribe(listen)
  t.after(() => channels.call.unsubscribe(listen))
  return records
}

describe('The diagnostics channels', () => {
  const cluster = useCluster({ members: 2, proxy: true })

  afterEach(() => {
    for (const index of [0, 1]) proxyAt(cluster, index).heal()
  })

  async function connected(t: TestContext): Promise<Etcd> {
    const etcd = createClient(t, cluster)
    await etcd.put('key', 'value')
    await poll('all are ready', () => etcd.endpoints().every(({ state }) => state === 'ready') || undefined)
    return etcd
  }

  test('publish one record for a successful call, with its times, member and response size', async (t) => {
    const etcd = createClient(t, cluster)
    const [calls, attempts] = [callRecords(t), attemptRecords(t)]
    const startedAt = performance.now()
    const { endpoint } = await etcd.put('key', 'value')
    const tookMs = performance.now() - startedAt
    const [call = assert.fail(), ...otherCalls] = calls
    const { durationMs, connectMs, responseBytes, callId, client } = call
    const [method, path] = ['KV.Put', '/etcdserverpb.KV/Put']
    assert.deepEqual([call.method, call.path, call.endpoint, call.outcome], [method, path, endpoint, ok])
    assert.deepEqual([call.attempts, call.backoffMs, call.authMs, call.mode], [1, 0, 0, undefined])
    assert.deepEqual(call.request, { range: 'key', keyText: 'key', operations: 1 })
    assert.ok(Math.abs(call.queueMs + connectMs + call.wireMs - durationMs) < 1e-6)
    assert.ok(connectMs > 0 && durationMs > connectMs && tookMs >= durationMs, `${connectMs} of ${durationMs} ms`)
    assert.ok(responseBytes > 10 && responseBytes < 100)
    const [{ durationMs: attemptMs, connectMs: waitedMs, ...attempt } = assert.fail(), ...otherAttempts] = attempts
    const { requestBytes } = call
    const place = {
      client,
      callId,
      method,
      path,
      operations: 1,
      batch: undefined,
      attempt: 1,
      reason: 'first',
      endpoint,
    }
    assert.deepEqual(attempt, { ...place, requestBytes, responseBytes, outcome: ok })
    assert.equal(waitedMs, connectMs)
    assert.deepEqual(call.attemptRecords, attempts)
    assert.ok(attemptMs > 0 && attemptMs <= durationMs)
    assert.deepEqual([...otherCalls, ...otherAttempts], [], 'probes are no calls')

    await etcd.range({ prefix: '' })
    assert.deepEqual([calls[1]?.method, calls[1]?.connectMs], ['KV.Range', 0])
  })

  test('publish one record for every kind of call, named by its RPC', async (t) => {
    const etcd = await connected(t)
    const [calls, attempts] = [callRecords(t), attemptRecords(t)]
    await etcd.get('key')
    await etcd.namespace('k').count({ prefix: '' })
    await etcd.txn().then(put('key', 'new')).commit()
    await etcd.update('key', () => 'newer')
    await collect(etcd.list({ prefix: 'key' }))
    const { revision } = await etcd.delete('key')
    await etcd.compact(revision)
    await etcd.auth.status().catch(() => {})
    const methods = ['Range', 'Range', 'Txn', 'Range', 'Txn', 'Range', 'DeleteRange', 'Compact'].map(
      (rpc) => `KV.${rpc}`,
    )
    assert.deepEqual(
      calls.map(({ method }) => method),
      [...methods, 'Auth.AuthStatus'],
    )
    assert.deepEqual(
      attempts.map(({ method }) => method),
      [...methods, 'Auth.AuthStatus'],
    )
  })

  test("publish a failure with its code, its effect and the caller's error", async (t) => {
    const etcd = await connected(t)
    const [calls, attempts] = [callRecords(t), attemptRecords(t)]
    const error = await etcd.get('key', { revision: 1e9 }).catch((thrown: unknown) => thrown)
    const outcome = { ok: false, aborted: false, code: 'FUTURE_REVISION', effect: 'none', error }
    assert.deepEqual([calls.length, calls[0]?.outcome, calls[0]?.responseBytes], [1, outcome, 0])
    assert.deepEqual([attempts.length, attempts[0]?.outcome], [1, outcome])
  })

  test('publish a retried call once, and each of its attempts with its member', async (t) => {
    const etcd = await connected(t)
    const [calls, attempts] = [callRecords(t), attemptRecords(t)]
    for (const index of [0, 1]) {
      proxyAt(cluster, index).onData((bytes) => (bytes.includes('breaking') ? 'reset' : undefined))
    }
    const call = etcd.get('breaking')
    await poll('it was repeated', () => attempts[3])
    for (const index of [0, 1]) proxyAt(cluster, index).heal()
    assert.equal(await call, undefined)
    const [record = assert.fail(), ...others] = calls
    assert.deepEqual([record.outcome, others], [ok, []])
    assert.equal(record.attempts, attempts.length)
    assert.ok(record.backoffMs > 0 && record.backoffMs + record.connectMs < record.durationMs)
    assert.deepEqual(
      attempts.map(({ attempt }) => attempt),
      attempts.map((_, index) => index + 1),
    )
    const [first, second] = attempts
    assert.notEqual(first?.endpoint, second?.endpoint)
    for (const { outcome } of attempts.slice(0, -1)) {
      assert.ok(!outcome.ok && !outcome.aborted && ['CONNECTION_LOST', 'NOT_CONNECTED'].includes(outcome.code))
    }
    assert.deepEqual(attempts.at(-1)?.outcome, ok)
    assert.equal(attempts.at(-1)?.endpoint, record.endpoint)
    assert.ok(attempts.reduce((sum, { durationMs }) => sum + durationMs, 0) < record.durationMs)
  })

  test('publish an aborted call and a call that was never sent', async (t) => {
    const etcd = await connected(t)
    const [calls, attempts] = [callRecords(t), attemptRecords(t)]
    for (const index of [0, 1]) proxyAt(cluster, index).blackhole()
    await assert.rejects(etcd.get('key', { signal: AbortSignal.timeout(20) }))
    const aborted = { ok: false, aborted: true }
    assert.deepEqual([calls[0]?.outcome, calls[0]?.attempts], [aborted, 1])
    assert.deepEqual([attempts[0]?.outcome, attempts[0]?.attempt], [aborted, 1])
    const { port, release } = await reservePort()
    t.after(release)
    const nowhere = createClient(t, { endpoints: [`http://127.0.0.1:${port}`] })
    await assert.rejects(nowhere.put('key', 'value', { timeoutMs: 100 }), { code: 'NOT_CONNECTED', attempts: 0 })
    const { durationMs, connectMs, outcome, ...never } = calls[1] ?? assert.fail()
    assert.deepEqual([never.method, never.backoffMs, never.wireMs, never.attempts], ['KV.Put', 0, 0, 0])
    assert.deepEqual([never.endpoint, never.role, never.responseBytes], [undefined, undefined, 0])
    assert.ok(connectMs > 90 && durationMs >= connectMs, `${connectMs} of ${durationMs} ms`)
    assert.equal(!outcome.ok && !outcome.aborted && outcome.code, 'NOT_CONNECTED')
    assert.equal(calls.length, 2)
  })

  test('publish keys and no values', async (t) => {
    const etcd = await connected(t)
    const calls = callRecords(t)
    const secret = 'top-secret'
    await etcd.put('a/1', secret)
    await etcd.txn().if(key('a/1').value.equals(secret)).then(put('a/1', secret), put('a/2', secret)).commit()
    await etcd.get(Buffer.from([0xff, 0x01]))
    await etcd.range({ prefix: 'a/' })
    await etcd.range({ from: 'a/1', to: 'a/3' })
    await etcd.count({ from: 'a/' })
    await etcd.namespace('a/').deleteRange({ prefix: '' })
    await etcd.count({ prefix: '' })
    const asked = calls.map(({ request: { range, keyText, operations }, responseKeys }) => {
      return `${range} ${keyText} ${operations} ${responseKeys}`
    })
    assert.deepEqual(asked, [
      'key a/1 1 0',
      'key a/1 2 0',
      'key 0xff01 1 0',
      'prefix a/ 1 2',
      'range a/1 1 2',
      'from a/ 1 0',
      'prefix a/ 1 2',
      'all undefined 1 0',
    ])
    const text = JSON.stringify(calls)
    assert.ok(!text.includes(secret) && !text.includes(Buffer.from(secret).toString('base64')), text)
  })

  test('publish no keys for a client that keeps its keys secret', async (t) => {
    const etcd = createClient(t, cluster, { diagnostics: { keys: false, slowCallMs: 0 } })
    const records: unknown[] = [callRecords(t), attemptRecords(t)]
    const secret = 'top-secret'
    await etcd.put(secret, secret)
    await etcd.txn().if(key(secret).value.equals(secret)).then(put(secret, secret)).commit()
    const calls = [
      etcd.get(secret, { revision: 1e9 }),
      etcd.touch(`${secret}-missing`),
      etcd.put(secret, secret, { lease: 'abc' }),
      etcd.get(secret, { signal: AbortSignal.abort(new Error('gone')) }),
    ]
    const results = await Promise.allSettled(calls)
    assert.ok(results.every(({ status }) => status === 'rejected'))
    const text = JSON.stringify(records, (_, value) => {
      return value instanceof Error ? { ...value, message: value.message, stack: value.stack } : value
    })
    assert.ok(text.includes('FUTURE_REVISION') && text.includes('LEASE_NOT_FOUND'))
    assert.ok(!text.includes(secret), text)
    assert.ok(!text.includes(Buffer.from(secret).toJSON().data.join()), text)
  })

  test('and the calls continue when a subscriber throws', async () => {
    const source = `
      import { channels, Etcd } from './src/index.ts'
      process.on('uncaughtException', (error) => console.log('uncaught', error.message))
      const etcd = new Etcd('${memberAt(cluster, 0).endpoint}')
      for (const name of ['call', 'attempt']) {
        channels[name].subscribe(() => { throw new Error('bug of ' + name) })
        channels[name].subscribe(({ method, outcome }) => console.log(name, method, outcome.ok))
      }
      await etcd.put('subscribed', 'value')
      console.log((await etcd.get('subscribed')).valueText)
      await etcd.close()
    `
    const { code, stdout, stderr } = await runScript(source)
    assert.deepEqual([code, stderr], [0, ''])
    const lines = ['KV.Put', 'KV.Range'].flatMap((method) => [
      `attempt ${method} true`,
      `call ${method} true`,
      'uncaught bug of attempt',
      'uncaught bug of call',
    ])
    assert.deepEqual(stdout.trim().split('\n').sort(), [...lines, 'value'].sort())
  })
})

describe('The stack of an error', () => {
  const cluster = useCluster({ proxy: true })

  afterEach(() => {
    proxyAt(cluster, 0).heal()
  })

  test('contains the line that awaits the call, for every kind of call', async (t) => {
    const etcd = createClient(t, cluster)
    const kv = etcd.namespace('a/')
    const future = { revision: 1e9 }
    const callers: Readonly<Record<string, () => Promise<unknown>>> = {
      async getsOne() {
        return await etcd.get('key', future)
      },
      async putsOne() {
        return await etcd.put('key', 'value', { lease: 'abc' })
      },
      async deletesOne() {
        return await etcd.delete('key', { timeoutMs: 0 })
      },
      async commitsOne() {
        return await etcd
          .txn()
          .then(put('key', 'value', { lease: 'abc' }))
          .commit()
      },
      async listsAll() {
        for await (const kv of etcd.list({ prefix: '' }, future)) assert.fail(String(kv))
      },
      async updatesOne() {
        return await etcd.update('key', () => 'value', { lease: 'abc' })
      },
      async puts_if() {
        return await etcd.putIf('key', 'value', 0, { lease: 'abc' })
      },
      async compacts() {
        return await etcd.compact(1e9)
      },
      async getsOneInNamespace() {
        return await kv.get('key', future)
      },
      async countsInNamespace() {
        return await kv.count({ prefix: '' }, future)
      },
      async connects() {
        return await createClient(t, { endpoints: ['http://127.0.0.1:1'] }).connect({ timeoutMs: 50 })
      },
    }
    for (const [name, call] of Object.entries(callers)) {
      const error = await call().catch((thrown: unknown) => thrown)
      assert.ok(isEtcdError(error), name)
      assert.match(String(error.stack), new RegExp(`at async .*${name} \\(.*diagnostics\\.test\\.ts:\\d+`), name)
      assert.ok(String(error.stack).includes(`[${error.code}] ${error.rawMessage}`), name)
    }
  })

  test('contains it also when the call waited, was retried, or was ended by close()', async (t) => {
    const etcd = createClient(t, cluster)
    const proxy = proxyAt(cluster, 0)
    const attempts: AttemptRecord[] = attemptRecords(t)
    await etcd.connect()
    const readsLate = async (): Promise<unknown> => await etcd.get('breaking', { timeoutMs: 300 })
    proxy.onData((bytes) => (bytes.includes('breaking') ? 'reset' : undefined))
    await assert.rejects(readsLate(), hasFrame('readsLate'))
    assert.ok(attempts.length > 1)
    proxy.heal()
    await etcd.put('key', 'value')
    proxy.blackhole()
    const writesForever = async (): Promise<unknown> => await etcd.put('key', 'value')
    const readsForever = async (): Promise<unknown> => await etcd.get('key')
    const rejected = [
      assert.rejects(writesForever(), hasFrame('writesForever')),
      assert.rejects(readsForever(), hasFrame('readsForever')),
    ]
    await etcd.close()
    await Promise.all(rejected)
  })

  test('costs nothing without an error', async (t) => {
    const etcd = createClient(t, cluster)
    await etcd.put('key', 'value')
    const Original = Error
    let captured = 0
    class Counted extends Original {
      constructor(message?: string, options?: ErrorOptions) {
        super(message, options)
        captured += 1
      }
      static override captureStackTrace(target: object): void {
        captured += 1
        Original.captureStackTrace(target)
      }
    }
    t.after(() => {
      globalThis.Error = Original
      Object.setPrototypeOf(EtcdError, Original)
    })
    // Nobody calls it without `new` meanwhile, which is all that it lacks.
    globalThis.Error = Counted as ErrorConstructor
    Object.setPrototypeOf(EtcdError, Counted)
    await assert.rejects(etcd.get('key', { revision: 1e9 }), { code: 'FUTURE_REVISION' })
    assert.ok(captured > 1, 'captures are noticed')
    captured = 0
    for (let count = 0; count < 50; count += 1) await etcd.get('key')
    await Promise.all(Array.from({ length: 50 }, () => etcd.put('key', 'value')))
    await etcd.txn().then(put('key', 'value')).commit()
    await etcd.update('key', () => 'new')
    await collect(etcd.list({ prefix: '' }))
    assert.equal(captured, 0)
  })

  function hasFrame(name: string): (error: Error) => boolean {
    return ({ stack }) => new RegExp(`at async ${name} \\(.*diagnostics\\.test\\.ts:\\d+`).test(String(stack))
  }
})
