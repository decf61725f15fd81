import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { HistoryEvent } from '../recorder.js'
import { type ChaosRecord, eventText, type OperationCount } from '../records.js'
import { digestOf } from '../view-digest.js'
import { checkers, type Evidence } from './checkers.js'

type RecordOf<Kind extends ChaosRecord['kind']> = Extract<ChaosRecord, { readonly kind: Kind }>

const event = (revision: number, key: string, value = '', seenAt = revision): HistoryEvent => ({
  type: 'put',
  key,
  value,
  revision,
  seenAt,
})
const deletion = (revision: number, key: string, seenAt = revision): HistoryEvent => ({
  ...event(revision, key, '', seenAt),
  type: 'delete',
})

const batchOf = (...events: readonly HistoryEvent[]): RecordOf<'batch'> => ({
  kind: 'batch',
  watch: 'watch 0',
  revision: events[0]?.revision ?? 0,
  events: events.map(eventText),
})
const bookmark = (revision: number): RecordOf<'batch'> => ({ kind: 'batch', watch: 'watch 0', revision, events: [] })

const view = (revision: number, keys: readonly [string, number][]): RecordOf<'view'> => ({
  kind: 'view',
  viewer: 'informer 0',
  prefix: 'reg/',
  revision,
  digest: digestOf(keys),
})

const change = (
  type: 'add' | 'update' | 'delete',
  key: string,
  revision: number,
  source: 'list' | 'watch' | 'resync' = 'watch',
): RecordOf<'change'> => ({ kind: 'change', informer: 'informer 0', type, key, revision, source })

const held = (fence: number, from: number, to: number, isExclusive = true, limit = 1): RecordOf<'held'> => ({
  kind: 'held',
  lock: 'jobs',
  limit,
  isExclusive,
  fence,
  from,
  to,
})

const call = (
  [calledAt, returnedAt]: readonly [number, number],
  revision: number,
  value: string,
  isRead = false,
): RecordOf<'call'> => ({
  kind: 'call',
  group: 0,
  call: {
    client: calledAt,
    calledAt,
    returnedAt,
    compares: [],
    success: [isRead ? { type: 'get', key: 'reg/0/0' } : { type: 'put', key: 'reg/0/0', value }],
    failure: [],
    output: {
      revision,
      succeeded: true,
      results: [isRead ? { kv: { value, createRevision: 2, modRevision: revision, version: revision - 1 } } : {}],
    },
  },
})

const done = (...operations: readonly OperationCount[]): RecordOf<'done'> => ({ kind: 'done', operations })
const count = (workload: string, outcome: OperationCount['outcome']): OperationCount => ({
  workload,
  outcome,
  code: '',
  count: 1,
})

const [a2, b3, c3, gone4] = [
  event(2, 'reg/a', '1'),
  event(3, 'reg/b', '2'),
  event(3, 'reg/c', '2'),
  deletion(4, 'reg/a'),
]
const registers = [a2, b3, c3, gone4]
const accounts = [event(2, 'acc/a', '90'), event(2, 'acc/b', '110'), event(3, 'acc/c', '95'), event(3, 'acc/d', '105')]
const items = [event(2, 'items/1', 'x'), event(3, 'items/2', 'y'), deletion(4, 'items/1')]
const enqueued = (item: string, effect: 'ok' | 'none' | 'unknown' = 'ok'): ChaosRecord => ({
  kind: 'enqueued',
  item,
  effect,
})
const dequeued = (item: string, effect: 'ok' | 'unknown' = 'ok'): ChaosRecord => ({ kind: 'dequeued', item, effect })
const once = (effect: 'ok' | 'none' | 'unknown', revision = 0): ChaosRecord => ({
  kind: 'once',
  key: 'once/1',
  effect,
  revision,
})
const lease = (aliveUntil: number, isLeft: boolean | undefined = false): ChaosRecord => ({
  kind: 'lease',
  key: 'lease/1',
  aliveUntil,
  isLeft,
})
const leased = [event(2, 'lease/1', 'alive', 100), deletion(3, 'lease/1', 200)]

interface Cases {
  /** Evidence that the checker accepts. */
  readonly right: Readonly<Record<string, Evidence>>
  /** Evidence with one thing wrong, and what the checker says about it. */
  readonly wrong: Readonly<Record<string, readonly [Evidence, RegExp]>>
}

const evidence = (history: readonly HistoryEvent[], ...records: readonly ChaosRecord[]): Evidence => ({
  history,
  records,
})

const cases: Readonly<Record<string, Cases>> = {
  linearizability: {
    right: { 'a read of the last write': evidence([], call([0, 1], 2, 'a'), call([2, 3], 2, 'a', true)) },
    wrong: {
      'a stale read': [
        evidence([], call([0, 1], 2, 'a'), call([2, 3], 3, 'b'), call([4, 5], 2, 'a', true)),
        /group 0 is not linearizable: 2 of 3 calls can be ordered, and then the call of client 4 from 4\.0 to 5\.0 does not fit: .*"value":"a"/,
      ],
      'two writes at one revision': [
        evidence([], call([0, 1], 2, 'a'), call([0, 1], 2, 'b')),
        /group 0 is not linearizable: 1 of 2 calls can be ordered, .* at revision 2/,
      ],
    },
  },
  'watch guarantees': {
    right: {
      'all events in order': evidence(registers, batchOf(a2), batchOf(b3, c3), bookmark(3), batchOf(gone4)),
      'the events of its ranges': evidence(registers, { ...batchOf(b3), prefixes: ['reg/b', 'reg/z'] }),
    },
    wrong: {
      'an event of a range that is lost': [
        evidence(registers, { ...batchOf(b3), prefixes: ['reg/b', 'reg/a'] }),
        /watch 0: event 0 of history is 2 put reg\/a 1, the watch has 3 put reg\/b/,
      ],
      'a lost event': [
        evidence(registers, batchOf(a2), batchOf(b3), batchOf(gone4)),
        /watch 0: event 2 of history is 3 put reg\/c 2, the watch has 4 delete reg\/a/,
      ],
      'a doubled event': [
        evidence(registers, batchOf(a2), batchOf(a2), batchOf(b3, c3), batchOf(gone4)),
        /watch 0: events of 2 come after 2/,
      ],
      'swapped revisions': [
        evidence(registers, batchOf(b3, c3), batchOf(a2), batchOf(gone4)),
        /watch 0: events of 2 come after 3/,
      ],
      'a revision in two batches': [
        evidence(registers, batchOf(a2), batchOf(b3), batchOf(c3), batchOf(gone4)),
        /watch 0: events of 3 come after 3/,
      ],
      'a batch with events of two revisions': [
        evidence(registers, batchOf(a2), { ...batchOf(b3, c3, gone4) }),
        /watch 0: the batch of 3 holds events of other revisions/,
      ],
      'a bookmark before its events': [
        evidence(registers, batchOf(a2), bookmark(3), batchOf(b3, c3), batchOf(gone4)),
        /watch 0: events of 3 come after 3/,
      ],
      'a watch that stops': [
        evidence(registers, batchOf(a2), batchOf(b3, c3)),
        /watch 0: it ends at 3, and history at 4/,
      ],
      'another value': [
        evidence(registers, batchOf(event(2, 'reg/a', '0')), batchOf(b3, c3), batchOf(gone4)),
        /watch 0: event 0 of history is 2 put reg\/a 1, the watch has 2 put reg\/a 0/,
      ],
    },
  },
  'informers, reads and listings': {
    right: {
      'states of history': evidence(
        registers,
        view(3, [
          ['reg/a', 2],
          ['reg/b', 3],
          ['reg/c', 3],
        ]),
        view(4, [
          ['reg/c', 3],
          ['reg/b', 3],
        ]),
        view(2, [['reg/a', 2]]),
      ),
    },
    wrong: {
      'a key that was deleted': [
        evidence(
          registers,
          view(4, [
            ['reg/a', 2],
            ['reg/b', 3],
            ['reg/c', 3],
          ]),
        ),
        /informer 0 shows other keys under reg\/ at revision 4 than history has/,
      ],
      'half of a transaction': [
        evidence(
          registers,
          view(3, [
            ['reg/a', 2],
            ['reg/b', 3],
          ]),
        ),
        /informer 0 shows other keys under reg\/ at revision 3/,
      ],
    },
  },
  'changes of informers': {
    right: {
      'each change': evidence(
        registers,
        change('add', 'reg/a', 2),
        change('add', 'reg/b', 3),
        change('add', 'reg/c', 3),
        change('delete', 'reg/a', 4),
      ),
      'differences after a listing': evidence(
        [...registers, event(5, 'reg/b', '3')],
        change('add', 'reg/a', 2),
        change('add', 'reg/b', 3, 'resync'),
        change('add', 'reg/c', 3, 'resync'),
        change('delete', 'reg/a', 4, 'resync'),
        change('update', 'reg/b', 5),
      ),
    },
    wrong: {
      'a lost change': [
        evidence(registers, change('add', 'reg/a', 2), change('add', 'reg/c', 3), change('delete', 'reg/a', 4)),
        /informer 0: 1 changes before add of reg\/c at 3 are missing/,
      ],
      'a doubled change': [
        evidence(registers, change('add', 'reg/a', 2), change('add', 'reg/a', 2)),
        /informer 0: add of reg\/a at 2 is not in history after the change before it/,
      ],
      'a change of another kind': [
        evidence(registers, change('update', 'reg/a', 2)),
        /informer 0: update of reg\/a at 2 is not an update/,
      ],
      'a difference that a listing left out': [
        evidence(
          [...registers, event(5, 'reg/b', '3')],
          change('add', 'reg/a', 2),
          change('add', 'reg/b', 3, 'resync'),
          change('delete', 'reg/a', 4, 'resync'),
          change('update', 'reg/b', 5),
        ),
        /informer 0: the keys before update of reg\/b at 5 are not those of history/,
      ],
    },
  },
  'serializable reads': {
    right: { 'a read at the floor': evidence([], { kind: 'read', reader: 'client 0', floor: 7, revision: 7 }) },
    wrong: {
      'a read that goes back': [
        evidence([], { kind: 'read', reader: 'client 0', floor: 7, revision: 6 }),
        /client 0 read revision 6 after it had seen 7/,
      ],
    },
  },
  'locks and fences': {
    right: {
      'one holder after the other': evidence([], held(4, 10, 20), held(3, 0, 10), held(9, 30, 40)),
      'readers together': evidence([], held(3, 0, 10, false, 9), held(3, 5, 15, false, 9), held(5, 16, 20)),
      'as many as there are permits': evidence([], held(3, 0, 10, false, 2), held(4, 5, 15, false, 2)),
    },
    wrong: {
      'overlapping holders': [
        evidence([], held(3, 0, 10), held(4, 9, 20)),
        /jobs: fence 3 \(0\.0 to 10\.0\) and fence 4 \(9\.0 to 20\.0\) hold it at one time/,
      ],
      'a reader beside a writer': [
        evidence([], held(3, 0, 10, false, 9), held(4, 9, 20)),
        /jobs: fence 3 .* and fence 4 .* hold it at one time/,
      ],
      'one permit too many': [
        evidence([], held(3, 0, 10, false, 2), held(4, 5, 15, false, 2), held(5, 6, 15, false, 2)),
        /jobs: 3 hold it at one time: fence 3 .*, fence 4 .*, fence 5/,
      ],
      'a repeated fence': [
        evidence([], held(3, 0, 10), held(3, 10, 20)),
        /jobs: fence 3 \(10\.0 to 20\.0\) comes after fence 3 \(0\.0 to 10\.0\)/,
      ],
      'a fence that goes back': [evidence([], held(4, 0, 10), held(3, 10, 20)), /jobs: fence 3 .* comes after fence 4/],
      'a reader with the fence of the writer before it': [
        evidence([], held(3, 0, 10), held(3, 10, 20, false, 9)),
        /jobs: fence 3 .* comes after fence 3/,
      ],
      'a writer with the fence of a reader before it': [
        evidence([], held(3, 0, 10, false, 9), held(3, 10, 20)),
        /jobs: fence 3 .* comes after fence 3/,
      ],
    },
  },
  'exactly-once queue': {
    right: {
      'one taken, one left': evidence(items, enqueued('x'), enqueued('y'), dequeued('x')),
      'one taken by a lost answer': evidence(items, enqueued('x'), enqueued('y'), dequeued('x', 'unknown')),
      'an item of unknown outcome': evidence(items, enqueued('x', 'unknown'), enqueued('y'), dequeued('x')),
    },
    wrong: {
      'a doubled delivery': [
        evidence(items, enqueued('x'), enqueued('y'), dequeued('x'), dequeued('x')),
        /x was taken 2 times/,
      ],
      'a lost item': [evidence(items, enqueued('x'), enqueued('y')), /x is gone and nobody has taken it/],
      'an item that stays': [
        evidence(items, enqueued('x'), enqueued('y'), dequeued('x'), dequeued('y')),
        /y was taken and is still there/,
      ],
      'an item from nowhere': [
        evidence(items, enqueued('x'), enqueued('y'), dequeued('x'), dequeued('z')),
        /z was taken and never enqueued/,
      ],
      'an item without effect': [
        evidence(items, enqueued('x', 'none'), enqueued('y'), dequeued('x')),
        /x was taken although it was enqueued without effect/,
      ],
    },
  },
  'sums of transactions': {
    right: { transfers: evidence(accounts) },
    wrong: {
      'a lost update': [evidence([...accounts, event(4, 'acc/a', '80')]), /the sum is 390 at revision 4/],
    },
  },
  leases: {
    right: {
      'a key that its owner has given up': evidence(leased, lease(199)),
      'a key that is still there': evidence([event(2, 'lease/1', 'alive', 100)], lease(150, undefined)),
    },
    wrong: {
      'a key that is gone too early': [
        evidence(leased, lease(700)),
        /lease\/1 was gone 500 ms before its lease was last reported as alive/,
      ],
      'a key that outlives its lease': [
        evidence([event(2, 'lease/1', 'alive', 100)], lease(150, true)),
        /lease\/1 was still there after its lease had been revoked/,
      ],
    },
  },
  'at-most-once writes': {
    right: {
      'a write': evidence([event(2, 'once/1')], once('ok', 2)),
      'an unknown write, applied': evidence([event(2, 'once/1')], once('unknown')),
      'an unknown write, not applied': evidence([], once('unknown')),
    },
    wrong: {
      'a repeated write': [
        evidence([event(2, 'once/1'), event(3, 'once/1')], once('ok', 3)),
        /once\/1 was applied 2 times/,
      ],
      'a lost write': [evidence([], once('ok', 2)), /once\/1 was acknowledged at 2, history has undefined/],
      'another revision': [
        evidence([event(3, 'once/1')], once('ok', 2)),
        /once\/1 was acknowledged at 2, history has 3/,
      ],
      'a write with the effect none': [
        evidence([event(2, 'once/1')], once('none')),
        /once\/1 has effect none and was applied/,
      ],
    },
  },
  'effect none': {
    right: {
      'writes that never happened': evidence(
        registers,
        { kind: 'none', values: ['7'], code: 'NOT_CONNECTED' },
        enqueued('z', 'none'),
      ),
    },
    wrong: {
      'a write that shows up': [
        evidence(registers, { kind: 'none', values: ['2'], code: 'NOT_CONNECTED' }),
        /the write of 2 failed with effect none \(NOT_CONNECTED\) and was applied/,
      ],
      'an item that shows up': [
        evidence(items, enqueued('x', 'none')),
        /the item x was enqueued with effect none and is in history/,
      ],
    },
  },
  traffic: {
    right: { 'some of each kind': evidence([], done(count('lock', 'ok'), count('lock', 'none'))) },
    wrong: {
      'nothing of a kind': [
        evidence([], done(count('lock', 'ok'), count('lease', 'unknown'))),
        /no operation of the kind 'lease' has ever succeeded/,
      ],
      'nothing at all': [evidence([]), /no worker has finished/],
    },
  },
  'typed errors': {
    right: { 'no others': evidence([]) },
    wrong: {
      'another error': [
        evidence([], { kind: 'trouble', workload: 'lock', error: 'TypeError: x is not a function' }),
        /lock failed with TypeError: x is not a function/,
      ],
    },
  },
}

for (const [name, check] of Object.entries(checkers)) {
  describe(`The checker '${name}'`, () => {
    const { right, wrong } = cases[name] ?? { right: {}, wrong: {} }

    test('has evidence to judge', () => {
      assert.ok(Object.keys(right).length > 0 && Object.keys(wrong).length > 0)
    })

    for (const [what, accepted] of Object.entries(right)) {
      test(`accepts: ${what}`, () => assert.deepEqual(check(accepted), []))
    }

    for (const [what, [refused, message]] of Object.entries(wrong)) {
      test(`refuses: ${what}`, () => {
        const violations = check(refused)
        assert.ok(
          violations.some((violation) => message.test(violation)),
          violations.join('\n') || 'nothing was found',
        )
      })
    }
  })
}
