import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { type ErrorCode, EtcdError } from '../../../src/core/errors.js'
import type { BatchResponse } from '../../../src/kv/batching/batch-operation.js'
import type { WriteBatcherOptions } from '../../../src/kv/batching/write-batcher.js'
import { withWriteGroups } from '../../../src/kv/batching/write-groups.js'
import { kvService } from '../../../src/kv/kv-service.js'
import type {
  DeleteRangeRequest,
  DeleteRangeResponse,
  PutRequest,
  PutResponse,
} from '../../../src/protobuf/generated/messages.js'
import { progressOf } from '../../../src/transport/call-progress.js'
import { type CallContext, type CallOptions, callContext } from '../../../src/transport/transport.js'
import { type FakeCall, fakeTransport, header } from '../../support/fake-transport.js'

type Write = PutRequest | DeleteRangeRequest
type WriteResponse = PutResponse | DeleteRangeResponse

function requestsOf({ request }: Pick<FakeCall, 'request'>): Write[] {
  return Array.isArray(request) ? request.map((call: { readonly request: Write }) => call.request) : [request as Write]
}

/** A request in short: `a=1` is a put, `-a` a deletion. */
function shown(call: Pick<FakeCall, 'request'>): string[] {
  return requestsOf(call).map((one) => ('value' in one ? `${one.key}=${one.value}` : `-${one.key}`))
}

const revision = 7

function answerAll(call: Pick<FakeCall, 'request'>): WriteResponse | BatchResponse<WriteResponse> {
  const responses = requestsOf(call).map((one) =>
    'value' in one
      ? { header: header({ revision }), prevKv: undefined }
      : { header: header({ revision }), deleted: 1, prevKvs: [] },
  )
  if (Array.isArray(call.request)) return { header: header({ revision }), responses, sizes: responses.map(() => 5) }
  const [answer] = responses
  assert.ok(answer)
  return answer
}

function grouping(answer: (call: FakeCall, index: number) => unknown, options: Partial<WriteBatcherOptions> = {}) {
  const inner = fakeTransport((call, index) => {
    progressOf.wire(call.context).endpoint = 'm0'
    return answer(call, index)
  })
  const kv = withWriteGroups(kvService(inner), inner, { maxOps: 128, maxBytes: 1e6, ...options })
  const context = ({ signal, timeoutMs = 10_000 }: CallOptions = {}): CallContext =>
    callContext({ signal, timeoutMs }, { requiresFloor: true, proposal: true })
  const put = (key: string, value = '', options?: CallOptions) =>
    kv.put({ key: Buffer.from(key), value: Buffer.from(value) }, context(options))
  const del = (key: string, rangeEnd?: string, options?: CallOptions) =>
    kv.deleteRange(
      { key: Buffer.from(key), rangeEnd: rangeEnd === undefined ? undefined : Buffer.from(rangeEnd) },
      context(options),
    )
  const codeOf = (writing: Promise<unknown>): Promise<ErrorCode | 'ok' | unknown> =>
    writing.then(
      () => 'ok',
      (error: unknown) => (error instanceof EtcdError ? error.code : error),
    )
  return { put, del, codeOf, calls: inner.calls, sent: () => inner.calls.map(shown) }
}

/** A promise and what resolves it. */
function gate(): { readonly opened: Promise<void>; readonly open: () => void } {
  let open = (): void => {}
  const opened = new Promise<void>((resolve) => {
    open = resolve
  })
  return { opened, open: () => open() }
}

describe('Writes made in one tick', () => {
  test('are one transaction at one revision; a single one is a plain put', async () => {
    const { put, sent, calls } = grouping(answerAll)
    const results = await Promise.all([put('a', '1'), put('b', '2')])
    assert.deepEqual(sent(), [['a=1', 'b=2']])
    assert.deepEqual(
      results.map(({ header }) => header?.revision),
      [7, 7],
    )
    const { repeatable, proposal, requiresFloor } = calls[0]?.context ?? {}
    assert.deepEqual([calls[0]?.method, repeatable, proposal, requiresFloor], ['KV.Txn', false, true, true])
    await put('c', '3')
    assert.deepEqual([calls[1]?.method, sent()[1]], ['KV.Put', ['c=3']])
  })

  test('form separate groups of puts and deletions; deletions of ranges are not grouped', async () => {
    const { put, del, sent, calls } = grouping(answerAll)
    const results = await Promise.all([put('a'), del('b'), put('c'), del('d'), del('e', 'f')])
    assert.deepEqual(sent().sort(), [['-b', '-d'], ['-e'], ['a=', 'c=']])
    assert.deepEqual(calls.map(({ method }) => method).sort(), ['KV.DeleteRange', 'KV.Txn', 'KV.Txn'])
    assert.ok(results[1] && 'deleted' in results[1])
  })

  test('of one key are sent one after another and in order, also if one of them fails', async () => {
    let under = 0
    const { put, del, codeOf, sent } = grouping(async (call) => {
      under += 1
      assert.equal(under, 1)
      await turn()
      under -= 1
      if (shown(call).includes('a=2')) throw new EtcdError('lost', { code: 'CONNECTION_LOST', effect: 'unknown' })
      return answerAll(call)
    })
    const outcomes = [put('a', '1'), put('a', '2'), del('a'), put('a', '3')].map(codeOf)
    assert.deepEqual(await Promise.all(outcomes), ['ok', 'CONNECTION_LOST', 'ok', 'ok'])
    assert.deepEqual(sent(), [['a=1'], ['a=2'], ['-a'], ['a=3']])
  })

  test('are split by their number and their size', async () => {
    const few = grouping(answerAll, { maxOps: 2 })
    await Promise.all(['a', 'b', 'c', 'd', 'e'].map((key) => few.put(key)))
    assert.deepEqual(few.sent(), [['a=', 'b='], ['c=', 'd='], ['e=']])
    const small = grouping(answerAll, { maxBytes: 60 })
    await Promise.all(['a', 'b', 'c'].map((key) => small.put(key, key === 'b' ? 'x'.repeat(100) : '')))
    assert.deepEqual(small.sent(), [['a='], [`b=${'x'.repeat(100)}`], ['c=']])
  })
})

test('while four groups are in flight, writes gather for the next group until it is full', async () => {
  const { opened, open } = gate()
  const { put, sent } = grouping(
    async (call) => {
      await opened
      return answerAll(call)
    },
    { maxOps: 3 },
  )
  const writes: Promise<unknown>[] = []
  for (const key of ['a', 'b', 'c', 'd', 'e', 'f']) {
    writes.push(put(key))
    await turn()
  }
  assert.deepEqual(sent(), [['a='], ['b='], ['c='], ['d=']])
  writes.push(put('g'))
  await turn()
  assert.deepEqual(sent().slice(4), [['e=', 'f=', 'g=']])
  writes.push(put('h'))
  await turn()
  assert.equal(sent().length, 5)
  open()
  await Promise.all(writes)
  assert.deepEqual(sent().slice(5), [['h=']])
})

describe('A group that fails', () => {
  test('with nothing done is repeated write by write, before the next writes of its keys', async () => {
    const underWay = new Set<string>()
    const { put, codeOf, sent } = grouping(async (call) => {
      const keys = requestsOf(call).map(({ key }) => String(key))
      for (const key of keys) assert.ok(!underWay.has(key) && underWay.add(key), `${key} is under way twice`)
      await turn()
      for (const key of keys) underWay.delete(key)
      if (keys.includes('b')) throw new EtcdError('denied', { code: 'PERMISSION_DENIED', effect: 'none' })
      return answerAll(call)
    })
    const outcomes = [put('a', '1'), put('b', '1'), put('c', '1'), put('a', '2')].map(codeOf)
    assert.deepEqual(await Promise.all(outcomes), ['ok', 'PERMISSION_DENIED', 'ok', 'ok'])
    assert.deepEqual(sent(), [['a=1', 'b=1', 'c=1'], ['a=1'], ['b=1'], ['c=1'], ['a=2']])
  })

  test('with an unknown outcome is not sent again: each of its writes has effect unknown', async () => {
    for (const code of ['CONNECTION_LOST', 'NO_SPACE', 'UNKNOWN', 'PROTOCOL_ERROR'] as const) {
      const { put, calls } = grouping(() => {
        throw new EtcdError('lost', {
          code,
          effect: 'unknown',
          retryable: code === 'CONNECTION_LOST',
          method: 'KV.Txn',
        })
      })
      const reasons = await Promise.all(['a', 'b'].map((key) => put(key).catch((error: unknown) => error)))
      assert.equal(calls.length, 1)
      assert.notEqual(reasons[0], reasons[1])
      for (const reason of reasons) {
        assert.ok(reason instanceof EtcdError)
        assert.deepEqual([reason.code, reason.effect, reason.method], [code, 'unknown', 'KV.Put'])
      }
    }
  })
})

describe('A caller that gives up', () => {
  const reason = new Error('no longer wanted')

  test('before its write was sent leaves it unsent', async () => {
    const { put, codeOf, sent } = grouping(answerAll)
    const controller = new AbortController()
    const outcomes = [put('a', '1'), put('a', '2', { signal: controller.signal }), put('a', '3')].map(codeOf)
    controller.abort(reason)
    assert.deepEqual(await Promise.all(outcomes), ['ok', reason, 'ok'])
    assert.deepEqual(sent(), [['a=1'], ['a=3']])
  })

  test('at its deadline while its key is busy fails with effect none', async () => {
    const { opened, open } = gate()
    const { put, codeOf, sent } = grouping(async (call) => {
      await opened
      return answerAll(call)
    })
    const first = codeOf(put('a', '1'))
    await assert.rejects(put('a', '2', { timeoutMs: 20 }), {
      code: 'DEADLINE_EXCEEDED',
      effect: 'none',
      method: 'KV.Put',
      rawMessage: 'the deadline passed before the call was sent',
    })
    open()
    assert.equal(await first, 'ok')
    await turn()
    assert.deepEqual(sent(), [['a=1']])
  })

  test('at its deadline while its group gathers fails with effect none', async () => {
    const { opened, open } = gate()
    const { put, del, sent } = grouping(async (call) => {
      await opened
      return answerAll(call)
    })
    const groups: Promise<unknown>[] = []
    for (const key of ['a', 'b', 'c', 'd']) {
      groups.push(put(key))
      await turn()
    }
    const late = { code: 'DEADLINE_EXCEEDED', effect: 'none' }
    await Promise.all([
      assert.rejects(put('e', '', { timeoutMs: 20 }), late),
      assert.rejects(del('f', undefined, { timeoutMs: 20 }), late),
    ])
    open()
    await Promise.all(groups)
    await turn()
    assert.equal(sent().length, 4)
  })

  test('after it was sent does not touch the others, and its key stays busy until the group has settled', async () => {
    const { opened, open } = gate()
    const { put, codeOf, sent } = grouping(async (call) => {
      await opened
      return answerAll(call)
    })
    const controller = new AbortController()
    const aborted = codeOf(put('a', '1', { signal: controller.signal }))
    const expired = put('b', '1', { timeoutMs: 20 }).catch((error: unknown) => error)
    const stayed = codeOf(put('c', '1'))
    await turn()
    controller.abort(reason)
    assert.equal(await aborted, reason)
    const error = await expired
    assert.ok(error instanceof EtcdError)
    assert.deepEqual([error.code, error.effect, error.endpoint], ['DEADLINE_EXCEEDED', 'unknown', 'm0'])
    const next = codeOf(put('a', '2'))
    await turn()
    assert.equal(sent().length, 1)
    open()
    assert.deepEqual(await Promise.all([stayed, next]), ['ok', 'ok'])
    assert.deepEqual(sent(), [['a=1', 'b=1', 'c=1'], ['a=2']])
  })
})
