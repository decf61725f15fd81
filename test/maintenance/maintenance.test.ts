import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { describe, test } from 'node:test'
import { EtcdError } from '../../src/core/errors.js'
import { hashKvResultAt } from '../../src/maintenance/hash.js'
import { Maintenance } from '../../src/maintenance/maintenance.js'
import { memberStatus } from '../../src/maintenance/member-status.js'
import { piecesOf, type SnapshotProgress } from '../../src/maintenance/snapshot.js'
import type { StreamSource } from '../../src/streams/stream-source.js'
import { type EndpointDirectory, pinnedTo } from '../../src/transport/connection/endpoint-directory.js'
import { type FakeCall, fakeTransport, header } from '../support/fake-transport.js'

function maintenance(answer: (call: FakeCall) => unknown = () => ({ header: header(), alarms: [] })) {
  const transport = fakeTransport(answer)
  const directory = {
    routeTo: async (endpoint: string) => pinnedTo(endpoint),
    urls: async () => ['a', 'b'],
  } as unknown as EndpointDirectory
  const sent = () =>
    transport.calls.map(({ method, request, context: { timeoutMs, route } }) => [
      method.replace('Maintenance.', ''),
      request,
      timeoutMs,
      route.endpoint,
    ])
  return { api: new Maintenance({ transport, directory, streams: {} as StreamSource }), sent }
}

describe('Maintenance', () => {
  test('calls the requested member, with the options of the caller; a defragmentation may take 5 minutes', async () => {
    const { api, sent } = maintenance()
    const one = { endpoint: 'a', timeoutMs: 7 }
    await api.status(one)
    await api.hash(one)
    await api.hashKv({ ...one, revision: 3 })
    await api.defragment(one)
    await api.defragment({ endpoint: 'b' })
    await api.moveLeader('a1', { timeoutMs: 7 })
    assert.deepEqual(sent(), [
      ['Status', {}, 7, 'a'],
      ['Hash', {}, 7, 'a'],
      ['HashKV', { revision: 3 }, 7, 'a'],
      ['Defragment', {}, 7, 'a'],
      ['Defragment', {}, 300_000, 'b'],
      ['MoveLeader', { targetID: 'a1' }, 7, undefined],
    ])
  })

  test('of all members has a result for each, in their order', async () => {
    const down = new EtcdError('down', { code: 'NOT_CONNECTED', effect: 'none' })
    const { api } = maintenance(({ context }) => {
      if (context.route.endpoint === 'a') throw down
      return { header: header(), hash: 5, compactRevision: -1, hashRevision: 0 }
    })
    const [first, second] = await api.hashKvs({ revision: 3 })
    assert.deepEqual(first, { endpoint: 'a', ok: false, error: down })
    assert.equal(second?.ok === true && second.value.hashRevision, 3)
    const reason = new Error('enough')
    await assert.rejects(api.statuses({ signal: AbortSignal.abort(reason) }), reason)
  })

  test('disarms each alarm that is active', async () => {
    const alarms = [
      { memberID: 'a1', alarm: 'NOSPACE' },
      { memberID: 'b2', alarm: 'CORRUPT' },
      { memberID: 'c3', alarm: 'NONE' },
    ]
    const { api, sent } = maintenance(({ request }) => {
      const { action, memberID } = request as { action: string; memberID?: string }
      return { alarms: action === 'GET' ? alarms : alarms.filter((alarm) => alarm.memberID === memberID) }
    })
    assert.deepEqual(await api.alarms.disarmAll({ timeoutMs: 7 }), [
      { memberId: 'a1', type: 'NOSPACE' },
      { memberId: 'b2', type: 'CORRUPT' },
    ])
    assert.deepEqual(
      sent().map(([, request, timeoutMs]) => [request, timeoutMs]),
      [
        [{ action: 'GET' }, 7],
        [{ action: 'DEACTIVATE', memberID: 'a1', alarm: 'NOSPACE' }, 7],
        [{ action: 'DEACTIVATE', memberID: 'b2', alarm: 'CORRUPT' }, 7],
      ],
    )
  })

  test('knows what a member does not report', () => {
    const response = {
      header: header({ memberId: 'a1', revision: 9 }),
      version: '3.5.30',
      storageVersion: '',
      leader: undefined,
      dbSize: 2,
      dbSizeInUse: 1,
      dbSizeQuota: 0,
      downgradeInfo: { enabled: false, targetVersion: '3.4' },
      isLearner: false,
      raftIndex: 4,
      raftAppliedIndex: 3,
      raftTerm: 2,
      errors: [],
    }
    const { storageVersion, dbQuotaBytes, leaderId, isLeader, downgradeTarget } = memberStatus(response as never, 'a')
    assert.deepEqual(
      [storageVersion, dbQuotaBytes, leaderId, isLeader, downgradeTarget],
      [undefined, undefined, undefined, false, undefined],
    )
    const leading = { ...response, leader: 'a1', downgradeInfo: { enabled: true, targetVersion: '3.4' } }
    assert.deepEqual(
      [memberStatus(leading as never, 'a').isLeader, memberStatus(leading as never, 'a').downgradeTarget],
      [true, '3.4'],
    )
    const hash = { header: header({ revision: 9 }), hash: 5, compactRevision: 2, hashRevision: 0 }
    assert.deepEqual([hashKvResultAt(0)(hash, 'a').hashRevision, hashKvResultAt(4)(hash, 'a').hashRevision], [9, 4])
    assert.equal(hashKvResultAt(4)({ ...hash, hashRevision: 3 }, 'a').hashRevision, 3)
  })
})

describe('A snapshot', () => {
  const data = Buffer.from('the database '.repeat(20))
  const whole = Buffer.concat([data, createHash('sha256').update(data).digest()])

  async function read(bytes: Buffer, size: number) {
    const progress: SnapshotProgress[] = []
    const responses = async function* () {
      for (let at = 0; at < bytes.length; at += size) {
        const blob = bytes.subarray(at, at + size)
        yield { header: undefined, blob, remainingBytes: bytes.length - at - blob.length, version: '' }
      }
    }
    const pieces: Buffer[] = []
    for await (const piece of piecesOf(responses() as never, (one) => progress.push(one))) pieces.push(piece)
    return { bytes: Buffer.concat(pieces), progress }
  }

  test('contains its digest, in pieces of any size, and reports its progress', async () => {
    for (const size of [1, 7, 31, 32, 33, 100, 1000]) {
      const { bytes, progress } = await read(whole, size)
      assert.deepEqual(bytes, whole)
      assert.equal(progress.length, Math.ceil(whole.length / size))
      assert.ok(progress.every(({ totalBytes }) => totalBytes === whole.length))
      assert.equal(progress.at(-1)?.receivedBytes, whole.length)
    }
  })

  test('that is damaged, cut off or empty rejects', async () => {
    const damaged = Buffer.from(whole)
    damaged[3] = 0
    const onlyDigest = createHash('sha256').digest()
    for (const bytes of [damaged, whole.subarray(0, -1), data, onlyDigest, Buffer.alloc(0)]) {
      await assert.rejects(read(bytes, 50), { code: 'PROTOCOL_ERROR', effect: 'none', retryable: true })
    }
  })
})
