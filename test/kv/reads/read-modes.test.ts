import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { type ErrorCode, EtcdError } from '../../../src/core/errors.js'
import { type ReadPolicy, type ReadPolicyOptions, ReadPolicyTable } from '../../../src/core/read-policy.js'
import { kvService } from '../../../src/kv/kv-service.js'
import { ReadCache } from '../../../src/kv/reads/read-cache.js'
import { withReadModes } from '../../../src/kv/reads/read-modes.js'
import type { RangeRequest } from '../../../src/protobuf/generated/messages.js'
import { progressOf } from '../../../src/transport/call-progress.js'
import { callContext } from '../../../src/transport/transport.js'
import { fakeTransport, header } from '../../support/fake-transport.js'

type Answer = number | ErrorCode

const cache = new ReadCache(undefined)

/** Reads with the read modes; each member answers with a revision or an error, `quorum` answers linearizable reads. */
async function read(
  { members, quorum, minRevision }: { members: readonly Answer[]; quorum: Answer; minRevision: number },
  policy: ReadPolicy & { revision?: number; timeoutMs?: number } = { mode: 'serializable' },
  options: ReadPolicyOptions = {},
) {
  const { revision, timeoutMs = 3000, ...readPolicy } = policy
  const kind = { repeatable: true, requiresFloor: true, readPolicy }
  const context = callContext({ timeoutMs }, kind)
  const asked: string[] = []
  const bounds: number[] = []
  const transport = fakeTransport(({ request, context: { excludedEndpoints, deadlineAt, startedAt } }) => {
    const fresh = members.findIndex((_, index) => !excludedEndpoints?.has(`m${index}`))
    const index = Math.max(0, fresh)
    const { serializable } = request as RangeRequest
    const endpoint = serializable ? `m${index}` : 'quorum'
    progressOf.wire(context).endpoint = endpoint
    asked.push(endpoint)
    bounds.push(deadlineAt - startedAt)
    const answer = serializable ? members[index] : quorum
    if (typeof answer !== 'number') throw new EtcdError('failed', { code: answer ?? 'UNKNOWN', effect: 'none' })
    return { header: header({ revision: answer }), kvs: [], more: false, count: 0 }
  })
  const hasUntriedEndpoint = (_: unknown, excludedEndpoints: ReadonlySet<string>) =>
    members.some((_, index) => !excludedEndpoints.has(`m${index}`))
  const kv = withReadModes(kvService(transport), {
    policy: new ReadPolicyTable(options),
    minRevision: () => minRevision,
    cache,
    hasUntriedEndpoint,
  })
  const outcome = await kv.range({ key: Buffer.from('k'), revision }, context).then(
    (response) => response.header?.revision,
    (error: unknown) => (error instanceof EtcdError ? error.code : error),
  )
  const { route, requiresFloor } = transport.calls.at(-1)?.context ?? context
  return { outcome, asked, bounds, route, requiresFloor, isStale: context.progress.isStale }
}

describe('A serializable read', () => {
  test('returns the response of the first member that is not behind', async () => {
    assert.deepEqual((await read({ members: [10, 10], quorum: 11, minRevision: 10 })).asked, ['m0'])
    const { outcome, asked, route, requiresFloor } = await read({ members: [8, 9, 12], quorum: 13, minRevision: 10 })
    assert.deepEqual([outcome, asked, route.serializable], [12, ['m0', 'm1', 'm2'], true])
    assert.equal(requiresFloor, false)
  })

  test('becomes linearizable when all members are behind', async () => {
    const { outcome, asked, ...last } = await read({ members: [8, 9], quorum: 13, minRevision: 10 })
    assert.deepEqual([outcome, asked], [13, ['m0', 'm1', 'quorum']])
    assert.deepEqual([last.route.serializable, last.requiresFloor, last.isStale], [false, true, false])
  })

  test('becomes linearizable when an old answer comes from no member, as from an interceptor that makes no call', async () => {
    const modes: boolean[] = []
    const transport = fakeTransport(({ request }) => {
      const { serializable = false } = request as RangeRequest
      modes.push(serializable)
      if (modes.length > 10) throw new Error('asked again and again')
      return { header: header({ revision: 8 }), kvs: [], more: false, count: 0 }
    })
    const kv = withReadModes(kvService(transport), {
      policy: new ReadPolicyTable({}),
      minRevision: () => 10,
      cache,
      hasUntriedEndpoint: () => true,
    })
    const context = callContext({ timeoutMs: 3000 }, { repeatable: true, readPolicy: { mode: 'serializable' } })
    const { header: answered } = await kv.range({ key: Buffer.from('k') }, context)
    assert.deepEqual([answered?.revision, modes], [8, [true, false]])
  })

  test('of a past revision may be served by a member that is behind, if it has that revision', async () => {
    const policy = { mode: 'serializable', revision: 5 } as const
    assert.deepEqual((await read({ members: [8], quorum: 13, minRevision: 10 }, policy)).asked, ['m0'])
    const lacking = await read({ members: ['FUTURE_REVISION', 8], quorum: 13, minRevision: 10 }, policy)
    assert.deepEqual([lacking.outcome, lacking.asked], [8, ['m0', 'm1']])
    const newcomer = await read({ members: ['FUTURE_REVISION'], quorum: 13, minRevision: 0 }, policy)
    assert.deepEqual([newcomer.outcome, newcomer.asked], [13, ['m0', 'quorum']])
    const future = await read({ members: ['FUTURE_REVISION'], quorum: 'FUTURE_REVISION', minRevision: 0 }, policy)
    assert.equal(future.outcome, 'FUTURE_REVISION')
  })

  test('fails with any other error of its member', async () => {
    const { outcome, asked } = await read({ members: ['PERMISSION_DENIED', 12], quorum: 13, minRevision: 0 })
    assert.deepEqual([outcome, asked], ['PERMISSION_DENIED', ['m0']])
  })
})

describe('A linearizable read with fallback', () => {
  const fallback = { fallback: 'serializable' } as const

  test('is stale when it falls back, after a third of its time, even below the minimum revision', async () => {
    for (const code of ['NO_LEADER', 'DEADLINE_EXCEEDED', 'SERVER_TIMEOUT', 'LEADER_CHANGED'] as const) {
      const { outcome, asked, bounds, isStale } = await read({ members: [8], quorum: code, minRevision: 10 }, fallback)
      assert.deepEqual([outcome, asked, isStale], [8, ['quorum', 'm0'], true])
      assert.ok(Math.abs((bounds[0] ?? 0) - 1000) < 50 && Math.abs((bounds[1] ?? 0) - 3000) < 1, `${bounds}`)
    }
  })

  test('falls back after 2 s at most', async () => {
    const setting = { members: [8], quorum: 'NO_LEADER', minRevision: 0 } as const
    const { bounds } = await read(setting, { ...fallback, timeoutMs: 60_000 })
    assert.ok(Math.abs((bounds[0] ?? 0) - 2000) < 50, `${bounds}`)
  })

  test('does not fall back for other errors, nor without the option', async () => {
    const denied = await read({ members: [8], quorum: 'PERMISSION_DENIED', minRevision: 0 }, fallback)
    assert.deepEqual([denied.outcome, denied.asked], ['PERMISSION_DENIED', ['quorum']])
    const plain = await read({ members: [8], quorum: 'NO_LEADER', minRevision: 0 }, {})
    assert.deepEqual([plain.outcome, plain.asked], ['NO_LEADER', ['quorum']])
    const fine = await read({ members: [8], quorum: 12, minRevision: 0 }, fallback)
    assert.deepEqual([fine.outcome, fine.isStale], [12, false])
  })

  test('of a past revision tries the other members if one is behind, and then waits for a leader', async () => {
    const pinned = { ...fallback, revision: 9 }
    const behind = 'FUTURE_REVISION'
    const one = await read({ members: [behind, behind, 12], quorum: 'NO_LEADER', minRevision: 0 }, pinned)
    assert.deepEqual([one.outcome, one.asked, one.isStale], [12, ['quorum', 'm0', 'm1', 'm2'], true])
    const all = await read({ members: [behind, behind], quorum: 'NO_LEADER', minRevision: 0 }, pinned)
    assert.deepEqual([all.outcome, all.asked.slice(0, 3)], ['NO_LEADER', ['quorum', 'm0', 'm1']])
    assert.deepEqual([all.asked.at(-1), all.isStale], ['quorum', false])
    assert.deepEqual([all.route.serializable, all.requiresFloor], [false, true])
  })

  test('takes its fallback and preference from the rule if the call has none', async () => {
    const rules = [{ prefix: 'k', fallback: 'serializable', prefer: 'leader' }] as const
    const { outcome, route } = await read({ members: [8], quorum: 'NO_LEADER', minRevision: 0 }, {}, { rules })
    assert.deepEqual([outcome, route.prefer], [8, 'leader'])
  })
})

describe('A cached read', () => {
  function caching(cache: ReadCache, answer: (index: number) => number, minRevision = 0) {
    const transport = fakeTransport((_, index) => ({
      header: header({ revision: answer(index) }),
      kvs: [],
      more: false,
      count: 0,
    }))
    const kv = withReadModes(kvService(transport), {
      policy: new ReadPolicyTable({ default: 'cached' }),
      minRevision: () => minRevision,
      cache,
      hasUntriedEndpoint: () => false,
    })
    const read = async (mayUseCache = true) => {
      const context = callContext({ timeoutMs: 3000 }, { repeatable: true, requiresFloor: true, mayUseCache })
      const { header } = await kv.range({ key: Buffer.from('k') }, context)
      const { servedAs, isStale } = context.progress
      return [header?.revision, servedAs, isStale]
    }
    return { read, calls: transport.calls }
  }

  const limits = { maxAgeMs: 10_000, maxBytes: 1000 }

  test('is answered from memory, except for the pages of a listing', async () => {
    const { read } = caching(new ReadCache(limits), (index) => index + 1)
    assert.deepEqual(await read(), [1, 'serializable', false])
    assert.deepEqual(await read(), [1, 'cached', false])
    assert.deepEqual(await read(false), [2, 'serializable', false])
  })

  test('that fails leaves nothing in the cache', async () => {
    const cache = new ReadCache(limits)
    const { read } = caching(cache, () => assert.fail('refused'))
    await assert.rejects(read(), /refused/)
    assert.equal(cache.isInUse, false)
  })

  test('is stale from a copy that is behind or cut off', async () => {
    for (const [revision, isCutOff, isStale] of [
      [5, false, false],
      [4, false, true],
      [5, true, true],
    ] as const) {
      const cache = new ReadCache(undefined)
      const response = { header: header({ revision }), kvs: [], more: false, count: 0 }
      let catchUps = 0
      const catchUp = (): void => {
        catchUps += 1
      }
      cache.add({
        range: { key: Buffer.from('k'), rangeEnd: Buffer.from('l') },
        confirm: () => undefined,
        answer: () => ({ response, endpoint: 'm0', bytes: 0, isCutOff, catchUp }),
      })
      const { read, calls } = caching(cache, () => 9, 5)
      assert.deepEqual(await read(), [revision, 'cached', isStale])
      assert.deepEqual([calls.length, catchUps], [0, revision < 5 ? 1 : 0])
    }
  })
})
