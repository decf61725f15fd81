import assert from 'node:assert/strict'
import { getEventListeners } from 'node:events'
import { describe, test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { type ErrorCode, EtcdError } from '../../../src/core/errors.js'
import { KeyValue } from '../../../src/core/key-value.js'
import type { BatchResponse } from '../../../src/kv/batching/batch-operation.js'
import type { BatchedCall } from '../../../src/kv/batching/batched-call.js'
import type { ReadBatcherOptions } from '../../../src/kv/batching/read-batcher.js'
import { withReadBatches } from '../../../src/kv/batching/read-batches.js'
import { servesReadTxns } from '../../../src/kv/batching/read-txn-support.js'
import { kvService } from '../../../src/kv/kv-service.js'
import type { RangeRequest, RangeResponse } from '../../../src/protobuf/generated/messages.js'
import { progressOf } from '../../../src/transport/call-progress.js'
import {
  anyMember,
  type CallContext,
  type CallOptions,
  callContext,
  type Route,
} from '../../../src/transport/transport.js'
import { type FakeCall, fakeTransport, header } from '../../support/fake-transport.js'

type BatchedRead = BatchedCall<RangeRequest, RangeResponse>

/** The keys of one request: a transaction, or a single read. */
function keysOf({ request }: Pick<FakeCall, 'request'>): string[] {
  const requests = Array.isArray(request) ? request.map((call: BatchedRead) => call.request) : [request]
  return requests.map((one) => String((one as RangeRequest).key))
}

function answerTo(request: RangeRequest, revision = 5): RangeResponse {
  const kv = Object.assign(new KeyValue(), { key: Buffer.from(request.key ?? []), value: Buffer.from('value') })
  return { header: header({ revision }), kvs: [kv], more: false, count: 1 }
}

function answerAll({ request }: Pick<FakeCall, 'request'>): RangeResponse | BatchResponse<RangeResponse> {
  if (!Array.isArray(request)) return answerTo(request as RangeRequest)
  const responses = request.map((call: BatchedRead) => answerTo(call.request as RangeRequest))
  return { header: header({ revision: 5 }), responses, sizes: responses.map(() => 10) }
}

const denied = (effect: 'none' | 'unknown' = 'none') =>
  new EtcdError('permission denied', { code: 'PERMISSION_DENIED', effect, method: 'KV.Txn' })

function batching(answer: (call: FakeCall, index: number) => unknown, options: Partial<ReadBatcherOptions> = {}) {
  const inner = fakeTransport((call, index) => {
    progressOf.wire(call.context).endpoint = 'm0'
    return answer(call, index)
  })
  const defaults = { maxOps: 128, maxBytes: 1e6, servesBatches: () => true, minRevision: () => 0 }
  const kv = withReadBatches(kvService(inner), inner, { ...defaults, ...options })
  const contexts: CallContext[] = []
  const read = async (
    key: string,
    { signal, timeoutMs, route = {}, ...fields }: CallOptions & Partial<RangeRequest> & { route?: Partial<Route> } = {},
  ) => {
    const kind = { repeatable: true, requiresFloor: route.serializable !== true, route: { ...anyMember, ...route } }
    const context = callContext({ signal, timeoutMs: timeoutMs ?? 10_000 }, kind)
    contexts.push(context)
    return kv.range({ key: Buffer.from(key), ...fields }, context)
  }
  const codeOf = (reading: Promise<unknown>): Promise<ErrorCode | 'ok' | unknown> =>
    reading.then(
      () => 'ok',
      (error: unknown) => (error instanceof EtcdError ? error.code : error),
    )
  return { read, codeOf, contexts, sent: () => inner.calls.map(keysOf), calls: inner.calls }
}

describe('Reads made in one tick', () => {
  test('are sent as one transaction, and each has its response', async () => {
    const { read, calls, contexts } = batching((call) => {
      progressOf.retry(call.context).backoffMs = 7
      return answerAll(call)
    })
    const answers = await Promise.all(['a', 'b', 'c'].map((key) => read(key)))
    assert.deepEqual(calls.map(keysOf), [['a', 'b', 'c']])
    assert.equal(calls[0]?.method, 'KV.Txn')
    assert.deepEqual(
      answers.map(({ kvs, header }) => [kvs[0]?.keyText, header?.revision]),
      ['a', 'b', 'c'].map((key) => [key, 5]),
    )
    for (const { progress } of contexts) {
      const { endpoint, attempts, backoffMs, responseBytes } = progress
      assert.deepEqual([endpoint, attempts, backoffMs, responseBytes], ['m0', 1, 7, 10])
    }
  })

  test('are sent as plain reads if there is only one, before anything else happens', async () => {
    const { read, calls, contexts } = batching(answerAll)
    const reading = read('a')
    await new Promise((resolve) => process.nextTick(resolve))
    assert.deepEqual(
      calls.map(({ method, context }) => [method, context === contexts[0]]),
      [['KV.Range', true]],
    )
    assert.deepEqual((await reading).kvs[0]?.keyText, 'a')
  })

  test('include reads of callers that a response in the same turn resumes', async () => {
    const { read, sent } = batching(answerAll)
    const twice = async (key: string): Promise<void> => {
      await read(key)
      await null
      await read(`${key}${key}`)
    }
    await Promise.all(['a', 'b'].map(twice))
    assert.deepEqual(sent(), [
      ['a', 'b'],
      ['aa', 'bb'],
    ])
  })

  test('share a transaction only with reads of the same mode and preference', async () => {
    const { read, sent, calls } = batching(answerAll)
    const routes = [{}, { serializable: true }, { prefer: 'leader' }, { serializable: true, prefer: 'leader' }] as const
    await Promise.all(['a', 'b'].flatMap((key) => routes.map((route, index) => read(`${key}${index}`, { route }))))
    assert.deepEqual(
      sent(),
      [0, 1, 2, 3].map((index) => [`a${index}`, `b${index}`]),
    )
    assert.deepEqual(
      calls.map(({ context: { route, requiresFloor } }) => [route.serializable, route.prefer, requiresFloor]),
      [
        [false, undefined, true],
        [true, undefined, false],
        [false, 'leader', true],
        [true, 'leader', false],
      ],
    )
  })

  test('are not batched if they read ranges or a past revision, or exclude members', async () => {
    const { read, sent } = batching(answerAll)
    await Promise.all([
      read('a', { rangeEnd: Buffer.from('b') }),
      read('b', { revision: 3 }),
      read('c', { route: { endpoint: 'm1' } }),
      read('d', { timeoutMs: 0 }),
    ])
    assert.deepEqual(sent(), [['a'], ['b'], ['c'], ['d']])
  })

  test('of the same key share an operation, and each has its response', async () => {
    const { read, sent } = batching(answerAll)
    const [first, second, third] = await Promise.all([read('a'), read('a'), read('b')])
    assert.deepEqual(sent(), [['a', 'b']])
    assert.deepEqual(second, first)
    assert.notEqual(second?.kvs[0], first?.kvs[0])
    assert.equal(third?.kvs[0]?.keyText, 'b')
    await Promise.all([read('c'), read('c')])
    assert.deepEqual(sent()[1], ['c'])
    await Promise.all([read('d'), read('d', { keysOnly: true })])
    assert.deepEqual(sent()[2], ['d', 'd'])
  })

  test('are split by their number and their size', async () => {
    const few = batching(answerAll, { maxOps: 2 })
    await Promise.all(['a', 'b', 'c', 'd', 'e'].map((key) => few.read(key)))
    assert.deepEqual(few.sent(), [['a', 'b'], ['c', 'd'], ['e']])
    const small = batching(answerAll, { maxBytes: 40 })
    await Promise.all(['a', 'b', 'c'].map((key) => small.read(key.repeat(10))))
    assert.deepEqual(
      small.sent().map(({ length }) => length),
      [2, 1],
    )
  })

  test('are sent one by one to members that do not support transactions of reads', async () => {
    const { read, sent } = batching(answerAll, { servesBatches: () => false })
    await Promise.all([read('a'), read('b')])
    assert.deepEqual(sent(), [['a'], ['b']])
  })
})

describe('A batch that fails', () => {
  test('for a reason that may concern one read is repeated read by read, so that only the offending one fails', async () => {
    const { read, codeOf, contexts } = batching((call) => {
      if (keysOf(call).includes('b')) throw denied('unknown')
      return answerAll(call)
    })
    const outcomes = await Promise.all(['a', 'b', 'c'].map((key) => codeOf(read(key))))
    assert.deepEqual(outcomes, ['ok', 'PERMISSION_DENIED', 'ok'])
    assert.deepEqual(
      contexts.map(({ progress }) => progress.attempts),
      [2, 2, 2],
    )
  })

  test('is repeated on members that have not failed it', async () => {
    const { read, calls } = batching((call) => {
      if (calls.length > 1) return answerAll(call)
      progressOf.retry(call.context).failedEndpoints = new Set(['m0'])
      throw denied()
    })
    await Promise.all(['a', 'b'].map((key) => read(key)))
    assert.deepEqual(
      calls.map(({ context }) => context.excludedEndpoints?.has('m0')),
      [undefined, true, true],
    )
  })

  test('for a reason that concerns all reads fails each with a separate error, as if it were a single call', async () => {
    for (const code of ['CONNECTION_LOST', 'DEADLINE_EXCEEDED', 'CLOSED', 'AUTH_FAILED'] as const) {
      const { read, calls } = batching(() => {
        const retryable = code === 'CONNECTION_LOST'
        throw new EtcdError('lost', {
          code,
          effect: 'unknown',
          retryable,
          endpoint: 'm0',
          method: 'KV.Txn',
          grpcCode: 14,
        })
      })
      const reasons = await Promise.all(['a', 'b'].map((key) => read(key).catch((error: unknown) => error)))
      assert.equal(calls.length, 1)
      assert.notEqual(reasons[0], reasons[1])
      for (const reason of reasons) {
        assert.ok(reason instanceof EtcdError)
        const { message, method, endpoint, grpcCode } = reason
        assert.deepEqual(
          [message, method, endpoint, grpcCode],
          [`[${code}] lost (KV.Range at m0)`, 'KV.Range', 'm0', 14],
        )
      }
    }
  })

  test('makes the next batches smaller, until their reads succeed', async () => {
    const { read, codeOf, sent } = batching((call) => {
      if (keysOf(call).includes('bad')) throw denied()
      return answerAll(call)
    })
    const round = async (bad: boolean): Promise<number[]> => {
      const before = sent().length
      const keys = Array.from({ length: 16 }, (_, index) => (bad && index === 0 ? 'bad' : `k${index}`))
      await Promise.all(keys.map((key) => codeOf(read(key))))
      return sent()
        .slice(before)
        .map(({ length }) => length)
    }
    assert.deepEqual((await round(true))[0], 16)
    assert.deepEqual((await round(true)).slice(0, 2), [8, 8])
    for (let rounds = 0; rounds < 20; rounds += 1) await round(false)
    assert.deepEqual(await round(false), [16])
  })

  test('repeatedly is tried less and less often', async () => {
    const { read, sent } = batching((call) => {
      if (keysOf(call).length > 1) throw new EtcdError('no such method', { code: 'UNIMPLEMENTED', effect: 'none' })
      return answerAll(call)
    })
    for (let rounds = 0; rounds < 500; rounds += 1) await Promise.all([read('a'), read('b')])
    const batches = sent().filter(({ length }) => length > 1)
    assert.ok(batches.length < 20, `${batches.length} batches`)
  })

  test('because of its size is never as large again', async () => {
    const { read, sent } = batching((call) => {
      if (keysOf(call).length > 10) throw new EtcdError('too many', { code: 'TOO_MANY_OPS', effect: 'none' })
      return answerAll(call)
    })
    const keys = Array.from({ length: 16 }, (_, index) => `k${index}`)
    for (let rounds = 0; rounds < 300; rounds += 1) await Promise.all(keys.map((key) => read(key)))
    const lengths = sent().map(({ length }) => length)
    const tooLong = lengths.filter((length) => length > 10)
    assert.deepEqual(
      tooLong,
      [...new Set(tooLong)].sort((a, b) => b - a),
    )
    assert.deepEqual(lengths.slice(-2), [10, 6])
  })
})

test('batches are small if responses are large', async () => {
  const { read, sent } = batching((call) => {
    progressOf.wire(call.context).responseBytes = keysOf(call).length * 100_000
    return answerAll(call)
  })
  const keys = Array.from({ length: 40 }, (_, index) => `k${index}`)
  await Promise.all(keys.map((key) => read(key)))
  assert.deepEqual(
    sent().map(({ length }) => length),
    [32, 8],
  )
  await Promise.all(keys.slice(0, 6).map((key) => read(key)))
  assert.deepEqual(
    sent()
      .slice(2)
      .map(({ length }) => length),
    [2, 2, 2],
  )
})

describe('A caller that leaves a batch', () => {
  const reason = new Error('no longer wanted')

  test('before it is sent is not sent', async () => {
    const { read, codeOf, sent } = batching(answerAll)
    const controller = new AbortController()
    const outcomes = [codeOf(read('a', { signal: controller.signal })), codeOf(read('b'))]
    controller.abort(reason)
    assert.deepEqual(await Promise.all(outcomes), [reason, 'ok'])
    assert.deepEqual(sent(), [['b']])
  })

  test('by its signal or its deadline does not affect the others', async () => {
    const { opened, open } = gate()
    const { read, codeOf, calls, contexts } = batching(async (call) => {
      await opened
      return answerAll(call)
    })
    const controller = new AbortController()
    const aborted = codeOf(read('a', { signal: controller.signal, timeoutMs: 1000 }))
    const expired = codeOf(read('b', { timeoutMs: 20 }))
    const stayed = codeOf(read('c', { timeoutMs: 5000 }))
    await turn()
    controller.abort(reason)
    assert.equal(await aborted, reason)
    assert.equal(await expired, 'DEADLINE_EXCEEDED')
    assert.equal(calls[0]?.context.deadlineAt, contexts[2]?.deadlineAt)
    assert.equal(calls[0]?.context.signal?.aborted, undefined)
    open()
    assert.equal(await stayed, 'ok')
  })

  test('at its deadline does so although another one has left before', async () => {
    const { read, codeOf } = batching(() => new Promise(() => {}))
    void read('a', { timeoutMs: 60_000 })
    const expired = [codeOf(read('b', { timeoutMs: 10 })), codeOf(read('c', { timeoutMs: 30 }))]
    assert.deepEqual(await Promise.all(expired), ['DEADLINE_EXCEEDED', 'DEADLINE_EXCEEDED'])
  })

  test('leaves no timer and no listener, nor does a batch that was answered', async () => {
    const timers = (): number => process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length
    const before = timers()
    const { read } = batching(answerAll)
    const { signal } = new AbortController()
    await Promise.all([read('a', { timeoutMs: 60_000, signal }), read('b', { timeoutMs: 50_000, signal })])
    assert.deepEqual([timers(), getEventListeners(signal, 'abort').length], [before, 0])
  })

  /** Never answers; fails when it is canceled. */
  const untilCanceled = ({ context: { signal } }: FakeCall): Promise<never> =>
    new Promise((_, reject) => signal?.addEventListener('abort', () => reject(signal.reason)))

  test('as the last one cancels the batch, also if the others have left at their deadlines', async () => {
    const { read, codeOf, calls } = batching(untilCanceled)
    const controller = new AbortController()
    const stayed = codeOf(read('a', { signal: controller.signal }))
    const expired = codeOf(read('b', { signal: new AbortController().signal, timeoutMs: 10 }))
    assert.equal(await expired, 'DEADLINE_EXCEEDED')
    assert.equal(calls[0]?.context.signal?.aborted, false)
    controller.abort(reason)
    assert.equal(calls[0]?.context.signal?.aborted, true)
    assert.equal(await stayed, reason)
  })

  test('as the last one cancels the batch', async () => {
    const { read, codeOf, calls } = batching(untilCanceled)
    const controllers = [new AbortController(), new AbortController()]
    const outcomes = controllers.map(({ signal }, index) => codeOf(read(`k${index}`, { signal })))
    await turn()
    controllers[0]?.abort(reason)
    assert.equal(calls[0]?.context.signal?.aborted, false)
    controllers[1]?.abort(reason)
    assert.equal(calls[0]?.context.signal?.aborted, true)
    assert.deepEqual(await Promise.all(outcomes), [reason, reason])
  })
})

test('a request that cannot be encoded fails alone', async () => {
  const { read, codeOf, sent } = batching(answerAll)
  const outcomes = await Promise.all([codeOf(read('a', { limit: 0.5 })), codeOf(read('b'))])
  assert.deepEqual(outcomes, ['INVALID_ARGUMENT', 'ok'])
  assert.deepEqual(sent(), [['b']])
})

test('learners and members that crash on canceled transactions are sent no batches', () => {
  const member = (version?: string, role = 'follower') => ({ version, role })
  const [linearizable, anyone] = [anyMember, { ...anyMember, serializable: true }]
  const nearest = { ...anyone, prefer: 'nearest' } as const
  for (const version of ['3.4.23', '3.5.7', '3.5.10', '3.5.30', '3.6.0', '3.7.1', '3.50.1', undefined]) {
    assert.equal(servesReadTxns([member(version)], linearizable), true, version)
  }
  for (const version of ['3.5.0', '3.5.6', '3.5.4-rc.1']) {
    assert.equal(servesReadTxns([member('3.5.30'), member(version)], linearizable), false, version)
  }
  const members = [member('3.6.1'), member('3.6.1', 'learner')]
  assert.deepEqual(
    [linearizable, anyone, nearest, { ...linearizable, prefer: 'nearest' } as const].map((route) =>
      servesReadTxns(members, route),
    ),
    [true, true, false, true],
  )
})

describe('A serializable read', () => {
  const route = { serializable: true }

  test('joins an equal read in flight, also of a range, and each caller has its response', async () => {
    const { opened, open } = gate()
    const { read, sent } = batching(async (call) => {
      await opened
      return answerAll(call)
    })
    const ask = () => [read('a', { route }), read('r', { route, rangeEnd: Buffer.from('s') })]
    const first = ask()
    await turn()
    const second = ask()
    const linearizable = [read('a'), read('r', { rangeEnd: Buffer.from('s') })]
    await turn()
    assert.deepEqual(sent().sort(), [['a'], ['a'], ['r'], ['r']])
    open()
    const [one, two] = [await Promise.all(first), await Promise.all(second)]
    await Promise.all(linearizable)
    assert.deepEqual(two, one)
    assert.notEqual(two[1]?.kvs[0], one[1]?.kvs[0])
    await Promise.all(ask())
    assert.equal(sent().length, 6)
  })

  test('does not join a read that was sent before the client saw a newer revision', async () => {
    const { opened, open } = gate()
    let minRevision = 1
    const options = { minRevision: () => minRevision }
    const { read, sent } = batching(async (call) => {
      await opened
      return answerAll(call)
    }, options)
    const reads = [read('a', { route })]
    await turn()
    minRevision = 2
    reads.push(read('a', { route }))
    await turn()
    reads.push(read('a', { route }))
    await turn()
    assert.deepEqual(sent(), [['a'], ['a']])
    open()
    await Promise.all(reads)
  })

  test('that has joined keeps its signal and deadline, and outlives the read that it joined', async () => {
    const reason = new Error('no longer wanted')
    const { opened: firstEnds, open: endFirst } = gate()
    const { read, codeOf, calls, sent } = batching(
      ({ context }, index) =>
        new Promise((resolve, reject) => {
          const { signal } = context
          signal?.addEventListener('abort', () => reject(signal.reason))
          const late = new EtcdError('too late', { code: 'DEADLINE_EXCEEDED', effect: 'unknown' })
          if (index === 0) void firstEnds.then(() => reject(late))
          else resolve(answerTo({ key: Buffer.from('a') }))
        }),
    )
    const controller = new AbortController()
    const aborted = codeOf(read('a', { route, signal: controller.signal, timeoutMs: 50 }))
    await turn()
    const expired = codeOf(read('a', { route, timeoutMs: 20 }))
    const stayed = codeOf(read('a', { route, timeoutMs: 5000 }))
    controller.abort(reason)
    assert.equal(await aborted, reason)
    assert.equal(calls[0]?.context.signal?.aborted, false)
    assert.equal(await expired, 'DEADLINE_EXCEEDED')
    assert.equal(sent().length, 1)
    endFirst()
    assert.equal(await stayed, 'ok')
    assert.equal(sent().length, 2)
  })

  test('does not join a read that all callers have left', async () => {
    const reason = new Error('no longer wanted')
    const { read, codeOf, sent } = batching(
      (call, index) =>
        new Promise((resolve, reject) => {
          const { signal } = call.context
          if (index === 0) signal?.addEventListener('abort', () => setImmediate(() => reject(signal.reason)))
          else resolve(answerAll(call))
        }),
    )
    const controller = new AbortController()
    const aborted = codeOf(read('a', { route, signal: controller.signal }))
    await turn()
    controller.abort(reason)
    assert.deepEqual([await aborted, await codeOf(read('a', { route }))], [reason, 'ok'])
    assert.equal(sent().length, 2)
  })

  test('that is refused fails for all callers that share it, without another attempt', async () => {
    const { read, codeOf, sent } = batching(() => {
      throw denied('unknown')
    })
    const outcomes = await Promise.all([codeOf(read('a', { route })), codeOf(read('a', { route }))])
    assert.deepEqual(outcomes, ['PERMISSION_DENIED', 'PERMISSION_DENIED'])
    assert.equal(sent().length, 1)
  })
})

/** A promise and what resolves it. */
function gate(): { readonly opened: Promise<void>; readonly open: () => void } {
  let open = (): void => {}
  const opened = new Promise<void>((resolve) => {
    open = resolve
  })
  return { opened, open: () => open() }
}
