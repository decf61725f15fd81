import assert from 'node:assert/strict'
import { test } from 'node:test'
import { mutants, occurrences } from './mutants.js'

test('The text that each mutant replaces occurs once in its file', () => {
  const missing = mutants.filter((mutant) => occurrences(mutant) !== 1)
  assert.deepEqual(
    missing.map(({ name, file }) => `${name}: ${file}`),
    [],
  )
})
