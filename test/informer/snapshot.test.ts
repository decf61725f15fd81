import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { type Entry, idOf } from '../../src/informer/entry.js'
import { type Edit, InformerSnapshot } from '../../src/informer/snapshot.js'
import { within } from '../support/slack.js'
import { textEntry } from './fixtures.js'

const key = fc.uint8Array({ minLength: 1, maxLength: 3 })
/** A few keys, so that they repeat, or any bytes. */
const anyKey = fc.oneof(
  fc.nat(600).map((number) => Uint8Array.from([number >> 8, number & 0xff])),
  key,
)
const editOf = fc.record({ key: anyKey, value: fc.option(fc.string({ maxLength: 3 })) })
const revisions = fc.array(fc.array(editOf, { maxLength: 400 }), { maxLength: 6 })

type Model = Map<string, Entry<string>>

/** The expected content of a snapshot, in the order of the keys' bytes. */
function sorted(model: Model): Entry<string>[] {
  return [...model.values()].sort((a, b) => Buffer.compare(Buffer.from(a.id, 'latin1'), Buffer.from(b.id, 'latin1')))
}

function toEdit({ key, value }: { key: Uint8Array; value: string | null }, revision: number): Edit<string> {
  const id = idOf(key)
  return { id, entry: value === null ? undefined : textEntry(key, value, revision) }
}

function applied(model: Model, edits: readonly Edit<string>[]): Model {
  const next = new Map(model)
  for (const { id, entry } of edits) {
    if (entry === undefined) next.delete(id)
    else next.set(id, entry)
  }
  return next
}

/** The snapshots of some revisions, each with its expected content. */
function history(rounds: readonly (readonly { key: Uint8Array; value: string | null }[])[]) {
  let snapshot = InformerSnapshot.empty<string>()
  let model: Model = new Map()
  const all = [{ snapshot, model }]
  for (const [index, round] of rounds.entries()) {
    const edits = round.map((one) => toEdit(one, index + 1))
    snapshot = snapshot.with(edits, index + 1)
    model = applied(model, edits)
    all.push({ snapshot, model })
  }
  return all
}

describe('A snapshot', () => {
  test('equals a sorted map after any edits, and so do all earlier snapshots', () => {
    fc.assert(
      fc.property(revisions, anyKey, (rounds, other) => {
        for (const [revision, { snapshot, model }] of history(rounds).entries()) {
          const entries = sorted(model)
          assert.deepEqual(snapshot.list(), entries)
          assert.deepEqual([...snapshot], entries)
          assert.equal(snapshot.size, entries.length)
          assert.equal(snapshot.revision, revision)
          for (const entry of entries) assert.equal(snapshot.get(Buffer.from(entry.id, 'latin1')), entry)
          assert.equal(snapshot.get(other), model.get(idOf(other)))
        }
      }),
      { numRuns: 60 },
    )
  })

  test('returns the ranges of a sorted map, for existing and other keys', () => {
    const bound = fc.oneof(anyKey, fc.nat())
    fc.assert(
      fc.property(revisions, bound, fc.option(bound), (rounds, one, other) => {
        const { snapshot, model } = history(rounds).at(-1) ?? assert.fail()
        const all = sorted(model)
        const keyOf = (key: Uint8Array | number): Uint8Array =>
          typeof key === 'number' ? Buffer.from(all[key % all.length]?.id ?? '', 'latin1') : key
        const [from, to] = [keyOf(one), other === null ? undefined : keyOf(other)]
        const end = to === undefined ? undefined : idOf(to)
        const expected = all.filter(({ id }) => id >= idOf(from) && (end === undefined || id < end))
        assert.deepEqual(snapshot.range(from, to), expected)
      }),
      { numRuns: 200 },
    )
  })

  test('yields exactly the differences to another snapshot, in key order, both ways', () => {
    fc.assert(
      fc.property(revisions, fc.nat(), fc.nat(), (rounds, one, other) => {
        const all = history(rounds)
        const a = all[one % all.length] ?? assert.fail()
        const b = all[other % all.length] ?? assert.fail()
        const ids = sorted(new Map([...a.model, ...b.model])).map(({ id }) => id)
        const expected = ids.flatMap((id) => {
          const pair = { old: a.model.get(id), entry: b.model.get(id) }
          return pair.old === pair.entry ? [] : [pair]
        })
        assert.deepEqual([...a.snapshot.differences(b.snapshot)], expected)
      }),
      { numRuns: 100 },
    )
  })

  test('built from a listing equals one built by edits', () => {
    const entries = Array.from({ length: 1000 }, (_, index) => textEntry(String(index).padStart(4, '0')))
    const listed = InformerSnapshot.of(entries, 5)
    const edited = InformerSnapshot.empty<string>().with(
      entries.map((entry) => ({ id: entry.id, entry })),
      5,
    )
    assert.deepEqual(listed.list(), edited.list())
    assert.deepEqual([...listed.differences(edited)], [])
    assert.equal(listed.get('0999'), entries[999])
    assert.equal(listed.range('0990').length, 10)
  })

  test('shares unchanged chunks: changing one key of 100,000 is cheap', () => {
    const entries = Array.from({ length: 100_000 }, (_, index) => textEntry(String(index).padStart(6, '0')))
    const before = InformerSnapshot.of(entries, 1)
    const startedAt = performance.now()
    let snapshot = before
    for (let revision = 2; revision < 1002; revision += 1) {
      const entry = textEntry('050000', 'new', revision)
      snapshot = snapshot.with([{ id: entry.id, entry }], revision)
    }
    assert.equal([...before.differences(snapshot)].length, 1)
    // About 10 µs each; copying all would take a second for every hundred.
    assert.ok(performance.now() - startedAt < within(1000))
    assert.equal(before.get('050000')?.value, 'value')
  })

  test('finds non-ASCII keys, and orders by bytes rather than by UTF-16', () => {
    const keys = ['z', 'é', '\uffee', '\u{1f600}']
    const snapshot = InformerSnapshot.empty<string>().with(
      keys.map((text) => ({ id: idOf(text), entry: textEntry(text) })),
      1,
    )
    assert.deepEqual(
      snapshot.list().map((entry) => entry.keyText),
      [...keys].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b))),
    )
    for (const text of keys) assert.equal(snapshot.get(text)?.keyText, text)
  })
})
