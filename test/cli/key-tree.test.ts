import assert from 'node:assert/strict'
import { test } from 'node:test'
import { KeyTree } from '../../src/cli/key-tree.js'

function treeOf(
  keys: readonly string[],
  options: { depth?: number; entries?: number; separator?: string } = {},
): string[] {
  const tree = new KeyTree({ name: '', separator: '/', depth: 3, entries: 20, ...options })
  for (const key of keys) tree.add(Buffer.from(key), 1)
  return tree.lines((count, bytes) => `${count}k ${bytes}b`)
}

test('A key tree counts keys at every branch that leads to them', () => {
  assert.deepEqual(treeOf(['a', 'a/b', 'a/b/c', 'a/b/d', 'b/']), [
    '/  5k 21b',
    '├── a  1k 2b',
    '├── a/  3k 16b',
    '│   ├── b  1k 4b',
    '│   └── b/  2k 12b',
    '│       ├── c  1k 6b',
    '│       └── d  1k 6b',
    '└── b/  1k 3b',
  ])
})

test('A key tree counts branches beyond its depth or number without showing them', () => {
  assert.deepEqual(treeOf(['a/1', 'a/2/x', 'a/2/y', 'a/3/x', 'a/3/y', 'b'], { depth: 2, entries: 1 }), [
    '/  6k 30b',
    '├── a/  5k 28b',
    '│   ├── 1  1k 4b',
    '│   └── … 2 more',
    '└── … 1 more',
  ])
})

test('A key tree keeps names apart that differ only beyond their visible part', () => {
  const long = 'x'.repeat(150)
  assert.equal(treeOf([`${long}1/a`, `${long}2/a`]).filter((line) => line.includes('1k')).length, 4)
})

test('A key tree accepts any text as the separator', () => {
  assert.deepEqual(treeOf(['a::b', 'a::c'], { separator: '::', depth: 1 }), ['::  2k 10b', '└── a::  2k 10b'])
})
