import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { checkIndexes, IndexTable } from '../../src/informer/index-table.js'
import { textEntry } from './fixtures.js'

/** `words` finds an entry by each word of its value, `length` by its length. */
function createTable() {
  return new IndexTable<string, 'words' | 'length'>({
    words: (value) => value.split(' '),
    length: (value) => {
      if (value === 'none') throw new Error('no length')
      return String(value.length)
    },
  })
}

describe('An index table', () => {
  test('finds an entry once by each of its terms', () => {
    const table = createTable()
    const entry = textEntry('a', 'to be or not to be')
    table.set(entry)
    assert.deepEqual(table.find('words', 'be'), [entry])
    assert.deepEqual(table.find('length', '18'), [entry])
    assert.deepEqual(table.terms('words').sort(), ['be', 'not', 'or', 'to'])
    assert.deepEqual(table.find('words', 'else'), [])
  })

  test('removes previous terms of an entry, and terms without entries', () => {
    const table = createTable()
    table.set(textEntry('a', 'one two'))
    table.set(textEntry('b', 'two'))
    table.set(textEntry('a', 'three'))
    assert.deepEqual(
      table.find('words', 'two').map(({ keyText }) => keyText),
      ['b'],
    )
    table.delete('b')
    table.delete('unknown')
    assert.deepEqual(table.terms('words'), ['three'])
  })

  test('changes nothing when an index function throws', () => {
    const table = createTable()
    const entry = textEntry('a', 'one')
    table.set(entry)
    assert.throws(() => table.set(textEntry('a', 'none')), /no length/)
    assert.deepEqual([table.find('words', 'one'), table.find('words', 'none')], [[entry], []])
  })

  test('copies an entry from another table without calling the index functions', () => {
    const from = createTable()
    const entry = { ...textEntry('a', 'one'), value: 'one' }
    from.set(entry)
    entry.value = 'none'
    const table = createTable()
    table.adopt(entry, from)
    table.adopt(textEntry('unknown'), from)
    assert.deepEqual(table.find('words', 'one'), [entry])
    table.delete('a')
    assert.deepEqual([table.terms('words'), from.terms('words')], [[], ['one']])
    from.delete('a')
    table.adopt(entry, from)
    assert.deepEqual(table.terms('words'), [])
  })

  test('rejects an unknown index, and index functions that are not functions', () => {
    assert.throws(() => createTable().find('other' as 'words', 'x'), {
      code: 'INVALID_ARGUMENT',
      message: /`index` must be one of the informer's \(words, length\), got "other"/,
    })
    assert.throws(() => checkIndexes({ zone: 'x' }), /`indexes.zone` must be a function/)
  })
})
