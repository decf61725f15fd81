import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { informerCopy } from '../../src/client/informer-copy.js'
import { bytes, json } from '../../src/core/codec.js'
import { encodeRange, type KeyRange } from '../../src/core/key-range.js'
import type { Informer } from '../../src/informer/informer.js'
import type { InformerOptions } from '../../src/informer/informer-options.js'
import { InformerSnapshot } from '../../src/informer/snapshot.js'
import type { RangeRequest } from '../../src/protobuf/generated/messages.js'
import { kvOf, settled, textEntry } from '../informer/fixtures.js'

const prefix = Buffer.from('p/')
const leased = { ...textEntry('a', 'one', 5), createRevision: 3, version: 2, lease: '7' }

/** An informer of `p/` at revision 9, within the namespace `p/`, with the keys `a`, `b` and `c`. */
function copyOf(options: InformerOptions<string> = {}, range: KeyRange = { prefix: 'p/' }, other = {}) {
  const waits: { readonly revision: number; end(): void }[] = []
  const informer = {
    isCurrent: true,
    revision: 9,
    state: 'watching',
    invalidEntries: [] as unknown[],
    freshness: { isFresh: true, confirm: async () => {}, catchUp: () => {} },
    invalid: () => informer.invalidEntries,
    stats: () => ({ state: informer.state, endpoint: 'e' }),
    snapshot: () => InformerSnapshot.of([leased, textEntry('b'), textEntry('c')], 9),
    waitForRevision: (revision: number) => new Promise<void>((end) => waits.push({ revision, end })),
    ...other,
  }
  const copy = informerCopy(informer as unknown as Informer<string>, options, encodeRange(range), prefix)
  const answer = (asked: KeyRange, request: Partial<RangeRequest> = {}, revision = 9) =>
    copy?.answer({ ...encodeRange(asked), ...request }, revision)
  const keys = (...asked: Parameters<typeof answer>) =>
    answer(...asked)
      ?.response.kvs.map(({ key }) => key.toString())
      .join(' ')
  return { answer, copy, informer, keys, waits }
}

describe('An informer as a source of cached reads', () => {
  test('has the keys with their namespace and all that etcd returns', () => {
    const { answer, keys } = copyOf()
    const read = answer('p/a')
    assert.deepEqual(read?.response.kvs, [Object.assign(kvOf('p/a', 'one', 5, 3), { version: 2, lease: '7' })])
    assert.deepEqual([read?.endpoint, read?.isCutOff, read?.bytes], ['e', false, 6])
    assert.equal(read?.response.header?.revision, 9)
    assert.equal(keys({ prefix: 'p/' }), 'p/a p/b p/c')
    assert.equal(keys({ from: 'p/a', to: 'p/c' }), 'p/a p/b')
    assert.equal(keys('p/x'), '')
    const two = answer({ prefix: 'p/' }, { limit: 2 })?.response
    assert.deepEqual([two?.kvs.length, two?.more, two?.count], [2, true, 3])
    const three = answer({ prefix: 'p/' }, { limit: 3 })?.response
    assert.deepEqual([three?.kvs.length, three?.more, three?.count], [3, false, 3])
    const counted = answer({ prefix: 'p/' }, { countOnly: true, limit: 2 })?.response
    assert.deepEqual([counted?.kvs, counted?.more, counted?.count], [[], false, 3])
    assert.equal(answer('p/a', { keysOnly: true })?.response.kvs[0]?.value.length, 0)
  })

  test('gives each caller bytes that it may change', () => {
    const value = Buffer.from('one')
    const snapshot = () => InformerSnapshot.of([{ ...leased, value }], 9)
    const { answer } = copyOf({ codec: bytes } as never, { prefix: 'p/' }, { snapshot })
    answer('p/a')?.response.kvs[0]?.value.fill(0)
    assert.equal(answer('p/a')?.response.kvs[0]?.value.toString(), 'one')
  })

  test('is none if its values are not the bytes of the keys, or not all of them', () => {
    const others: object[] = [{ codec: json() }, { filter: () => true }, { transform: (value: string) => value }]
    for (const options of others) assert.equal(copyOf(options).copy, undefined)
  })

  test('answers no read that it cannot know the answer of', () => {
    const { answer, copy, informer, keys } = copyOf()
    for (const request of [
      { revision: 5 },
      { sortOrder: 'DESCEND' },
      { sortTarget: 'MOD' },
      { minModRevision: 1 },
      { maxModRevision: 9 },
      { minCreateRevision: 1 },
      { maxCreateRevision: 9 },
    ] as const) {
      assert.equal(answer('p/a', request), undefined, JSON.stringify(request))
    }
    for (const outside of ['q', { prefix: 'p' }, { from: 'p/' }]) {
      assert.deepEqual([answer(outside), copy?.confirm(encodeRange(outside))], [undefined, undefined])
    }
    assert.ok(copy?.confirm(encodeRange('p/a')))
    const single = copyOf({}, 'p/a')
    assert.deepEqual([single.keys('p/a'), single.keys('p/a\0'), single.keys('p/b')], ['p/a', undefined, undefined])
    for (const [name, value, usual] of [
      ['state', 'retrying', 'watching'],
      ['isCurrent', false, true],
      ['invalidEntries', [{}], []],
    ] as const) {
      Object.assign(informer, { [name]: value })
      assert.equal(answer('p/a'), undefined, name)
      Object.assign(informer, { [name]: usual })
    }
    informer.freshness.isFresh = false
    assert.deepEqual([keys('p/a'), answer('p/a')?.isCutOff], ['p/a', true])
  })

  test('waits for a revision that it lacks, once at a time', async () => {
    const { answer, waits } = copyOf()
    const lacking = (): unknown => answer('p/a', {}, 10)
    assert.deepEqual([lacking(), lacking(), waits.map(({ revision }) => revision)], [undefined, undefined, [10]])
    waits[0]?.end()
    await settled()
    lacking()
    assert.equal(waits.length, 2)
  })
})
