import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { type Codec, json } from '../../src/core/codec.js'
import type { InvalidEntry } from '../../src/informer/draft.js'
import { Store, type StoreOptions } from '../../src/informer/store.js'
import { WatchEvent } from '../../src/watch/watch-event.js'
import { batchOf, inShort, kvOf, textEntry } from './fixtures.js'

/** Text, except for values that begin with `bad`. */
const picky: Codec<string> = {
  encode: (value) => Buffer.from(value),
  decode(bytes) {
    const value = bytes.toString()
    if (value.startsWith('bad')) throw new Error(`${value} does not decode`)
    return value
  },
}

function createStore(options: Partial<StoreOptions<string, 'first'>> = {}) {
  const reported: InvalidEntry[] = []
  const store = new Store<string, 'first'>({
    codec: picky,
    filter: undefined,
    transform: undefined,
    indexes: { first: (value) => value.slice(0, 1) },
    onInvalid: (invalid) => reported.push(invalid),
    ...options,
  })
  return { store, reported }
}

function listed(store: Store<string, 'first'>, values: Readonly<Record<string, string>>, revision = 10): void {
  const draft = store.draft(true)
  for (const [key, value] of Object.entries(values)) draft.add(kvOf(key, value, revision))
  draft.finish(revision)
}

function values(store: Store<string, 'first'>): Record<string, string> {
  return Object.fromEntries(store.snapshot.list().map(({ keyText, value }) => [keyText, value]))
}

describe('The store of an informer', () => {
  test('applies a revision as a whole and returns its changes with old values', () => {
    const { store } = createStore()
    listed(store, { a: '1', b: '2' })
    const before = store.snapshot
    const changes = [
      ...store.apply(batchOf(11, { a: '3', b: undefined, c: '4' })),
      ...store.apply(batchOf(12, { c: undefined, nothing: undefined })),
    ]
    assert.deepEqual(changes.map(inShort), ['~a=1>3', '-b=2', '+c=4', '-c=4'])
    assert.deepEqual(
      changes.map(({ revision, source, initial }) => [revision, source, initial]),
      [11, 11, 11, 12].map((revision) => [revision, 'watch', false]),
    )
    assert.deepEqual(values(store), { a: '3' })
    assert.equal(store.snapshot.revision, 12)
    assert.deepEqual([before.size, before.revision, before.get('b')?.value], [2, 10, '2'])
  })

  test('advances without changes, and never goes back', () => {
    const { store } = createStore()
    listed(store, { a: '1' })
    store.progress(20)
    store.progress(15)
    assert.equal(store.snapshot.revision, 20)
  })

  test('keeps the last valid entry of a key that does not decode, and reports the stored bytes', () => {
    const { store, reported } = createStore()
    listed(store, { a: '1', b: 'bad from the start' })
    assert.deepEqual(store.apply(batchOf(11, { a: 'bad now' })), [])
    assert.deepEqual(values(store), { a: '1' })
    assert.deepEqual(
      reported.map(({ keyText, value, modRevision }) => [keyText, value.toString(), modRevision]),
      [
        ['b', 'bad from the start', 10],
        ['a', 'bad now', 11],
      ],
    )
    assert.match(String(reported[1]?.error), /bad now does not decode/)
    assert.equal(store.invalid.length, 2)
    assert.deepEqual(store.apply(batchOf(12, { a: '2', b: undefined })).map(inShort), ['~a=1>2'])
    assert.deepEqual(store.invalid, [])
  })

  test('keeps the last valid entry across a listing, and deletes it with its key', () => {
    const { store } = createStore()
    listed(store, { a: '1', b: '1' })
    const draft = store.draft(true)
    draft.add(kvOf('a', 'bad', 20))
    draft.finish(20)
    assert.deepEqual(values(store), { a: '1' })
    assert.deepEqual(
      store.find('first', '1').map(({ keyText }) => keyText),
      ['a'],
    )
    assert.deepEqual(store.apply(batchOf(21, { a: undefined })).map(inShort), ['-a=1'])
    assert.deepEqual(store.invalid, [])
  })

  test('distinguishes invalid entries whose keys are not text', () => {
    const { store } = createStore()
    const draft = store.draft(true)
    for (const byte of [0xfe, 0xff]) draft.add(kvOf(Uint8Array.of(byte), 'bad', 10))
    draft.finish(10)
    assert.equal(store.invalid.length, 2)
    const { events } = batchOf(11, { x: undefined })
    for (const { kv } of events) kv.key = Buffer.of(0xfe)
    store.apply({ revision: 11, events })
    assert.equal(store.invalid.length, 1)
  })

  test('finds keys by their text and by their bytes, and never by the text of another key', () => {
    const { store } = createStore()
    const draft = store.draft(true)
    // The byte 0xe9 alone is not text; as UTF-16 it would be the é, whose bytes are 0xc3 0xa9.
    for (const key of ['a', Uint8Array.of(0xc3, 0xa9), Uint8Array.of(0xe9)]) draft.add(kvOf(key, `${key}`, 10))
    draft.finish(10)
    const asked = ['a', 'é', Uint8Array.of(0xe9), Buffer.from('é'), '\u00c3\u00a9', '\ufffd', 'b']
    assert.deepEqual(
      asked.map((key) => store.get(key)?.value),
      ['a', '195,169', '233', '195,169', undefined, undefined, undefined],
    )
  })

  test('contains the whole revision when it reports an invalid value', () => {
    const seen: Record<string, string>[] = []
    const { store } = createStore({ onInvalid: () => seen.push(values(store)) })
    listed(store, { a: '1' })
    store.apply(batchOf(11, { a: 'bad', b: '2' }))
    assert.deepEqual(seen, [{ a: '1', b: '2' }])
  })

  test('treats filtered keys as absent, and returns changes when that changes', () => {
    const { store } = createStore({ filter: (value) => !value.startsWith('x') })
    listed(store, { a: '1', b: 'x' })
    assert.deepEqual(values(store), { a: '1' })
    const changes = [
      ...store.apply(batchOf(11, { a: 'x1', b: '2' })),
      ...store.apply(batchOf(12, { a: 'x2' })),
      ...store.apply(batchOf(13, { a: undefined })),
    ]
    assert.deepEqual(changes.map(inShort), ['-a=1', '+b=2'])
    assert.deepEqual(store.find('first', '1'), [])
    assert.equal(store.snapshot.revision, 13)
  })

  test('stores the transformed value', () => {
    const { store } = createStore({ transform: (value, { keyText }) => `${keyText}:${value}` })
    listed(store, { a: '1' })
    store.apply(batchOf(11, { b: '2' }))
    assert.deepEqual(values(store), { a: 'a:1', b: 'b:2' })
    assert.deepEqual(store.terms('first'), ['a', 'b'])
  })

  test('reports a filter, a transform or an index function that throws, and continues', () => {
    const throwing = (value: string): never => {
      throw new Error(`cannot take ${value}`)
    }
    for (const options of [
      { filter: throwing },
      { transform: throwing },
      { indexes: { first: (value: string) => (value === '3' ? throwing(value) : value) } },
    ] satisfies Partial<StoreOptions<string, 'first'>>[]) {
      const { store, reported } = createStore(options)
      listed(store, { a: '3' })
      store.apply(batchOf(11, { b: '3' }))
      assert.deepEqual([values(store), store.get('a'), store.get('b')], [{}, undefined, undefined])
      assert.deepEqual(
        reported.map(({ keyText }) => keyText),
        ['a', 'b'],
      )
    }
  })

  test('finds entries by their current terms, even if a value was mutated', () => {
    const store = new Store<{ zone: string }, 'zone'>({
      codec: json(),
      filter: undefined,
      transform: undefined,
      indexes: { zone: ({ zone }) => zone },
      onInvalid: ({ error }) => assert.fail(String(error)),
    })
    const draft = store.draft(true)
    draft.add(kvOf('a', '{"zone":"x"}', 1))
    draft.finish(1)
    const [entry] = store.find('zone', 'x')
    assert.ok(entry)
    entry.value.zone = 'modified by a careless handler'
    store.apply(batchOf(2, { a: '{"zone":"y"}' }))
    assert.deepEqual([store.find('zone', 'x'), store.terms('zone')], [[], ['y']])
  })

  test('keeps unchanged entries across a listing, with their index terms', () => {
    let reads = 0
    const decode = (bytes: Buffer): string => {
      reads += 1
      return picky.decode(bytes)
    }
    const counting: Codec<string> = { ...picky, decode }
    const { store } = createStore({ codec: counting })
    listed(store, { a: '1', b: '2' })
    const before = store.snapshot
    const draft = store.draft(true)
    draft.add(kvOf('a', '1', 10))
    draft.add(kvOf('b', '3', 11))
    draft.finish(12)
    assert.equal(reads, 3)
    assert.equal(store.snapshot.get('a'), before.get('a'))
    assert.deepEqual(
      [...before.differences(store.snapshot)].map(({ entry }) => entry?.value),
      ['3'],
    )
    assert.deepEqual(
      store.find('first', '1').map(({ keyText }) => keyText),
      ['a'],
    )
  })

  test('does not treat equal revisions as equal values if the history may have changed', () => {
    const { store } = createStore()
    listed(store, { a: '1', b: '2', c: '3', d: '4', e: '5' })
    const before = store.snapshot
    const draft = store.draft(false)
    draft.add(kvOf('a', '1', 10))
    draft.add(kvOf('b', 'other', 10))
    draft.add(Object.assign(kvOf('c', '3', 10), { createRevision: 9 }))
    draft.add(Object.assign(kvOf('d', '4', 10), { version: 2 }))
    draft.add(Object.assign(kvOf('e', '5', 10), { lease: '7f' }))
    draft.finish(10)
    assert.deepEqual(
      [...before.differences(store.snapshot)].map(({ entry }) => entry?.value),
      ['other', '3', '4', '5'],
    )
  })

  test('takes every value of another history for another one if its codec cannot encode', () => {
    const { encode: _, ...decoder } = picky
    const { store } = createStore({ codec: decoder as typeof picky })
    listed(store, { a: '1' })
    const draft = store.draft(false)
    draft.add(kvOf('a', 'other', 10))
    draft.finish(10)
    assert.deepEqual(values(store), { a: 'other' })
  })

  test('is not changed by an unfinished draft', () => {
    const { store } = createStore()
    listed(store, { a: '1' })
    store.draft(true).add(kvOf('b', '2', 11))
    assert.deepEqual([values(store), store.find('first', '2')], [{ a: '1' }, []])
  })

  test('builds an earlier revision beside the current one, sharing unchanged entries', () => {
    const { store } = createStore()
    listed(store, { a: '1', b: '2' })
    store.apply(batchOf(11, { b: '3', c: '4' }))
    const history = store.history()
    for (const [key, value] of [
      ['a', '1'],
      ['b', '2'],
    ] as const)
      history.add(kvOf(key, value, 10))
    history.add(kvOf('c', 'bad', 9))
    const differences = [...history.snapshot(10).differences(store.snapshot)]
    assert.deepEqual(
      differences.map(({ old, entry }) => [old?.value, entry?.value]),
      [
        ['2', '3'],
        [undefined, '4'],
      ],
    )
    assert.deepEqual(values(store), { a: '1', b: '3', c: '4' })
  })

  test('counts all keys of the range, including those it does not show', () => {
    const { store } = createStore({ filter: (value) => value !== 'x' })
    listed(store, { a: '1', b: 'bad', c: 'x' })
    store.apply(batchOf(11, { a: undefined, d: 'bad', e: 'x', f: '1' }))
    store.apply(batchOf(12, { d: 'bad again', e: 'x', f: '2' }, false))
    assert.equal(store.keyCount, 5)
  })

  test('starts with the entries of an earlier process, except those that an index rejects', () => {
    const { store } = createStore({
      indexes: {
        first: (value) => {
          if (value === '2') throw new Error('refused')
          return value
        },
      },
    })
    store.load([textEntry('a', '1'), textEntry('b', '2')], 7)
    assert.deepEqual([values(store), store.snapshot.revision], [{ a: '1' }, 7])
    assert.deepEqual(
      store.find('first', '1').map(({ keyText }) => keyText),
      ['a'],
    )
  })

  test('keeps no view of the response buffer', () => {
    const answer = Buffer.alloc(1_000_000)
    const codec: Codec<Uint8Array> = { encode: (value) => value, decode: (value) => value }
    const options = {
      codec,
      filter: undefined,
      transform: undefined,
      indexes: {},
      onInvalid: () => assert.fail(),
    }
    const store = new Store<Uint8Array, never>(options)
    const kv = kvOf('a', '', 1)
    kv.value = answer.subarray(10, 20)
    const draft = store.draft(true)
    draft.add(kv)
    draft.finish(1)
    const invalid = new Store<Uint8Array, never>({ ...options, filter: () => assert.fail(), onInvalid: () => {} })
    invalid.apply({ revision: 2, events: [new WatchEvent('put', kv, undefined)] })
    for (const value of [store.get('a')?.value, invalid.invalid[0]?.value]) {
      assert.equal(value?.length, 10)
      assert.ok(value.buffer.byteLength < 100_000)
    }
  })
})
