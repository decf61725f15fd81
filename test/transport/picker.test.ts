import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Connection } from '../../src/transport/connection/connection.js'
import type { ConnectionState, MemberRole } from '../../src/transport/connection/connection-state.js'
import type { EjectReason } from '../../src/transport/connection/ejection.js'
import { Picker } from '../../src/transport/connection/picker.js'
import type { Route } from '../../src/transport/transport.js'

interface Member {
  readonly role?: MemberRole
  readonly memberId?: string
  readonly latencyMs?: number
  readonly state?: ConnectionState['kind']
  readonly ejectedFor?: EjectReason
}

function connection(url: string, { role = 'follower', memberId, latencyMs, state, ejectedFor }: Member): Connection {
  const kind = state ?? (ejectedFor === undefined ? 'ready' : 'ejected')
  const isConnected = ['ready', 'ejected', 'probing'].includes(kind)
  const fake = { url, role, memberId: memberId ?? url, latencyMs, isConnected, state: { kind, reason: ejectedFor } }
  // The picker reads these fields only.
  return fake as unknown as Connection
}

function pickerOf(members: Readonly<Record<string, Member>>): Picker {
  const picker = new Picker()
  picker.update(Object.entries(members).map(([url, member]) => connection(url, member)))
  return picker
}

const linearizable: Route = { serializable: false, prefer: undefined, endpoint: undefined }
const serializable: Route = { ...linearizable, serializable: true }

/** How often each endpoint is picked in twelve picks. */
function picks(members: Readonly<Record<string, Member>>, route: Route, excludedEndpoints?: readonly string[]): object {
  const picker = pickerOf(members)
  const counts: Record<string, number> = {}
  for (let count = 0; count < 12; count += 1) {
    const url = picker.pick(route, excludedEndpoints && new Set(excludedEndpoints))?.url ?? 'none'
    counts[url] = (counts[url] ?? 0) + 1
  }
  return counts
}

describe('The picker', () => {
  const three = { a: { role: 'leader' }, b: {}, c: {} } as const

  test('starts at a random member, so that clients with one stream each are spread over the members', () => {
    const first = Array.from({ length: 300 }, () => pickerOf(three).pick(linearizable, undefined)?.url)
    for (const url of ['a', 'b', 'c']) assert.ok(first.filter((other) => other === url).length > 50)
  })

  test('picks all healthy members equally often', () => {
    assert.deepEqual(picks(three, linearizable), { a: 4, b: 4, c: 4 })
    assert.deepEqual(picks({ ...three, c: { state: 'connecting' } }, linearizable), { a: 6, b: 6 })
    assert.deepEqual(picks({ ...three, c: { ejectedFor: 'unresponsive' } }, serializable), { a: 6, b: 6 })
  })

  test('picks a member with two addresses as often as others', () => {
    assert.deepEqual(picks({ a: { memberId: '1' }, b: { memberId: '1' }, c: { memberId: '2' } }, linearizable), {
      a: 6,
      c: 6,
    })
  })

  test('picks members that have failed the call only if there are no others', () => {
    assert.deepEqual(picks(three, linearizable, ['a', 'b']), { c: 12 })
    assert.deepEqual(picks(three, linearizable, ['a', 'b', 'c']), { a: 4, b: 4, c: 4 })
    const picker = pickerOf(three)
    assert.equal(picker.hasUntriedEndpoint(linearizable, new Set(['a', 'b'])), true)
    assert.equal(picker.hasUntriedEndpoint(linearizable, new Set(['a', 'b', 'c'])), false)
    assert.equal(picker.hasUntriedEndpoint({ ...linearizable, endpoint: 'c' }, new Set(['a'])), false)
  })

  test('picks learners only for serializable reads that prefer them', () => {
    const members = { ...three, l: { role: 'learner', latencyMs: 1 } } as const
    assert.deepEqual(picks(members, linearizable), { a: 4, b: 4, c: 4 })
    assert.deepEqual(picks(members, serializable), { a: 4, b: 4, c: 4 })
    assert.deepEqual(picks(members, { ...serializable, prefer: 'learner' }), { l: 12 })
    assert.deepEqual(picks(members, { ...serializable, prefer: 'nearest' }), { l: 12 })
    assert.deepEqual(picks(members, { ...linearizable, prefer: 'learner' }), { a: 4, b: 4, c: 4 })
    assert.deepEqual(picks({ l: members.l }, linearizable), { none: 12 })
  })

  test('prefers the leader or the nearest member, and picks any other if there is none', () => {
    assert.deepEqual(picks(three, { ...linearizable, prefer: 'leader' }), { a: 12 })
    assert.deepEqual(picks({ b: {}, c: {} }, { ...linearizable, prefer: 'leader' }), { b: 6, c: 6 })
    const far = { a: { latencyMs: 9 }, b: { latencyMs: 2 }, c: {} }
    assert.deepEqual(picks(far, { ...linearizable, prefer: 'nearest' }), { b: 12 })
  })

  test('picks the given endpoint while it is connected', () => {
    const route = { ...linearizable, endpoint: 'b' }
    assert.deepEqual(picks(three, route), { b: 12 })
    assert.deepEqual(picks({ ...three, b: { ejectedFor: 'other cluster' } }, route), { b: 12 })
    assert.deepEqual(picks({ ...three, b: { state: 'connecting' } }, route), { none: 12 })
  })

  test('prefers members without a leader to unresponsive ones if none is healthy', () => {
    const members = {
      a: { ejectedFor: 'unresponsive' },
      b: { ejectedFor: 'no leader' },
      c: { ejectedFor: 'other cluster' },
      d: { state: 'probing' },
      l: { ejectedFor: 'no leader', role: 'learner' },
    } as const
    assert.deepEqual(picks(members, linearizable), { b: 12 })
    assert.deepEqual(picks(members, serializable), { b: 6, l: 6 })
    assert.deepEqual(picks({ a: members.a, c: members.c }, linearizable), { a: 12 })
    assert.deepEqual(picks({ c: members.c, d: members.d }, linearizable), { none: 12 })
    assert.deepEqual(picks({ c: members.c, p: { ejectedFor: 'unavailable' } }, linearizable), { none: 12 })
    assert.deepEqual(picks(members, { ...linearizable, healthyOnly: true }), { none: 12 })
  })
})
