import assert from 'node:assert/strict'
import { before, describe, test } from 'node:test'
import fc from 'fast-check'
import { type CallRecord, channels, Etcd, EtcdError, type KeyValue, type RangeResult } from '../../src/index.js'
import { addUser, rootPassword } from '../support/auth.js'
import { useCluster } from '../support/cluster.js'
import { attemptRecords, createClient } from '../support/fixtures.js'

/** One read of a round, and what its caller does meanwhile. */
interface Read {
  readonly call: 'get' | 'exists' | 'range'
  readonly key: string
  readonly mode: 'linearizable' | 'serializable'
  readonly keysOnly: boolean
  readonly revision: 'now' | 'old' | 'future'
  readonly leaves: 'never' | 'before' | 'at once' | 'soon' | 'out of time'
}

/** One round: what root changes first, and the reads that are then made at once. */
interface Round {
  readonly writes: readonly { readonly key: string; readonly value: string | undefined }[]
  readonly compact: boolean
  readonly reads: readonly Read[]
}

const reason = new Error('no longer wanted')
const allowed = ['app/0', 'app/1', 'app/2', 'app/3', 'app/missing']
const key = fc.constantFrom(...allowed)

const read: fc.Arbitrary<Read> = fc.record({
  call: fc.constantFrom('get', 'exists', 'range'),
  key: fc.oneof({ weight: 9, arbitrary: key }, { weight: 1, arbitrary: fc.constantFrom('denied/0', 'a') }),
  mode: fc.constantFrom('linearizable', 'serializable'),
  keysOnly: fc.boolean(),
  revision: fc.oneof({ weight: 8, arbitrary: fc.constant('now') }, fc.constantFrom('old', 'future')),
  leaves: fc.oneof(
    { weight: 8, arbitrary: fc.constant('never') },
    fc.constantFrom('before', 'at once', 'soon', 'out of time'),
  ),
})

const round: fc.Arbitrary<Round> = fc.record({
  writes: fc.array(fc.record({ key, value: fc.option(fc.string(), { nil: undefined }) }), { maxLength: 3 }),
  compact: fc.boolean(),
  reads: fc.array(read, { minLength: 1, maxLength: 40 }),
})

const revisions = { now: undefined, old: 2, future: 1_000_000 }

/** The outcome of a read: the same for a single call and for one in a batch. */
async function outcomeOf(etcd: Etcd, read: Read): Promise<unknown> {
  const controller = new AbortController()
  if (read.leaves === 'before') controller.abort(reason)
  const { mode, keysOnly } = read
  const common = {
    mode,
    revision: revisions[read.revision],
    signal: read.leaves === 'never' ? undefined : controller.signal,
    timeoutMs: read.leaves === 'out of time' ? 0 : undefined,
  }
  const call = (): Promise<unknown> => {
    switch (read.call) {
      case 'get':
        return etcd.get(read.key, { ...common, keysOnly })
      case 'exists':
        return etcd.exists(read.key, common)
      case 'range':
        return etcd.range(read.key, { ...common, keysOnly })
    }
  }
  const calling = call()
  if (read.leaves === 'at once') controller.abort(reason)
  if (read.leaves === 'soon') setTimeout(() => controller.abort(reason), 0)
  try {
    return outcome(await calling)
  } catch (error) {
    if (!(error instanceof EtcdError)) return error
    const { name, message, code, effect, retryable, method, grpcCode } = error
    return { name, message, code, effect, retryable, method, grpcCode, stack: callersOf(error) }
  }
}

function outcome(result: unknown): unknown {
  const kvs = (result as RangeResult | undefined)?.kvs
  return kvs === undefined ? result : { ...(result as RangeResult), kvs: kvs.map((kv: KeyValue) => ({ ...kv })) }
}

/** The function of this file that the stack of an error leads to. */
function callersOf({ stack = '' }: Error): string[] {
  const callers = stack.split('\n').filter((line) => line.includes('outcomeOf'))
  assert.equal(callers.length, 1, stack)
  return callers
}

describe('Batched reads', () => {
  const cluster = useCluster({ auth: { rootPassword } })
  let root: { username: string; password: string }

  before(async () => {
    root = { username: 'root', password: rootPassword }
  })

  test('are equivalent to single ones: results, errors, aborts and deadlines', async (t) => {
    const admin = createClient(t, cluster, { auth: root })
    await addUser(admin, 'limited', 'limited-secret', { range: { prefix: 'app/' } })
    const auth = { username: 'limited', password: 'limited-secret' }
    const single = createClient(t, cluster, { auth, batching: { reads: false } })
    const attempts = attemptRecords(t)
    await fc.assert(
      fc.asyncProperty(round, async ({ writes, compact, reads }) => {
        // One that had batches refused makes shorter ones.
        await using batched = new Etcd({ endpoints: cluster.endpoints, auth })
        const { revision } = await admin.put('app/0', 'first')
        for (const { key, value } of writes) await (value === undefined ? admin.delete(key) : admin.put(key, value))
        if (compact) await admin.compact(revision)
        await single.get('app/0')
        await batched.get('app/0')
        const expected = await Promise.all(reads.map((one) => outcomeOf(single, one)))
        const outcomes = await Promise.all(reads.map((one) => outcomeOf(batched, one)))
        reads.forEach((read, index) => {
          const outcome = outcomes[index]
          if (read.leaves === 'soon' && (outcome === reason || expected[index] === reason)) return
          assert.deepEqual(outcome, expected[index], JSON.stringify(read))
        })
      }),
      { numRuns: 60 },
    )
    const ofReads = (method: string): number => attempts.filter((attempt) => attempt.method === method).length
    assert.ok(ofReads('KV.Txn') > 20, `${ofReads('KV.Txn')} batches`)
  })

  test('include everything that was acknowledged before they were made', async (t) => {
    const etcd = createClient(t, cluster, { auth: root })
    let acknowledged = 0
    let isDone = false
    const writer = async (): Promise<void> => {
      for (let number = 1; number <= 200; number += 1) {
        await etcd.put('counter', String(number))
        acknowledged = number
      }
      isDone = true
    }
    const reader = async (mode: 'linearizable' | 'serializable'): Promise<void> => {
      while (!isDone) {
        const floor = acknowledged
        const kv = await etcd.get('counter', { mode })
        assert.ok(Number(kv?.valueText ?? 0) >= floor, `${mode}: ${kv?.valueText} after ${floor}`)
      }
    }
    const readers = Array.from({ length: 32 }, (_, index) => reader(index % 2 === 0 ? 'linearizable' : 'serializable'))
    await Promise.all([writer(), ...readers])
  })

  test('are reported one by one, and their request once', async (t) => {
    const etcd = createClient(t, cluster, { auth: root })
    await etcd.put('key/1', 'x'.repeat(500))
    const calls: CallRecord[] = []
    const listen = (record: unknown): number => calls.push(record as CallRecord)
    channels.call.subscribe(listen)
    t.after(() => channels.call.unsubscribe(listen))
    const attempts = attemptRecords(t)
    await Promise.all([1, 2, 3].map((number) => etcd.get(`key/${number}`)))
    assert.deepEqual(
      attempts.map(({ method, operations, batch, outcome }) => [method, operations, batch, outcome.ok]),
      [['KV.Txn', 3, { method: 'KV.Range', calls: 3 }, true]],
    )
    assert.deepEqual(
      calls.map(({ method, attempts, endpoint, role, outcome }) => [method, attempts, endpoint, role, outcome.ok]),
      Array.from({ length: 3 }, () => ['KV.Range', 1, cluster.endpoints[0], 'leader', true]),
    )
    for (const { attemptRecords, wireMs } of calls)
      assert.ok(attemptRecords[0] === attempts[0] && attemptRecords.length === 1 && wireMs > 0)
    const [large = 0, small = 0] = calls.map(({ responseBytes }) => responseBytes)
    assert.ok(large > 500 && large < 600 && small < 50, `${large} and ${small} bytes`)
  })

  test('of several namespaces share a batch, and each sees its own keys', async (t) => {
    const etcd = createClient(t, cluster, { auth: root })
    await etcd.put('one/k', '1')
    await etcd.put('two/k', '2')
    const attempts = attemptRecords(t)
    const found = await Promise.all(['one/', 'two/'].map((prefix) => etcd.namespace(prefix).get('k')))
    assert.deepEqual(
      found.map((kv) => [kv?.keyText, kv?.valueText]),
      [
        ['k', '1'],
        ['k', '2'],
      ],
    )
    assert.equal(attempts.length, 1)
  })

  test("send the content that the caller's buffers had at the call", async (t) => {
    const etcd = createClient(t, cluster, { auth: root })
    await etcd.put('buffer/a', 'a')
    await etcd.put('buffer/b', 'b')
    const key = Buffer.from('buffer/a')
    const reads = [etcd.get(key), etcd.get('buffer/b')]
    key.write('buffer/b')
    assert.deepEqual(
      (await Promise.all(reads)).map((kv) => kv?.valueText),
      ['a', 'b'],
    )
    key.write('buffer/a')
    const alone = etcd.get(key)
    key.write('buffer/b')
    assert.equal((await alone)?.valueText, 'a')
  })

  test('reject with CLOSED when the client is closed, sent or not', async (t) => {
    const etcd = createClient(t, cluster, { auth: root })
    await etcd.get('key')
    const sent = [etcd.get('a'), etcd.get('b')]
    await new Promise((resolve) => process.nextTick(resolve))
    const waiting = [etcd.get('c'), etcd.get('d')]
    const closed = etcd.close()
    for (const reading of [...sent, ...waiting]) await assert.rejects(reading, { code: 'CLOSED', method: 'KV.Range' })
    await closed
  })
})
