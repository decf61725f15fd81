import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'

const root = join(import.meta.dirname, '..')
const errors = readFileSync(join(root, 'src/core/errors.ts'), 'utf8')
const documented = [...readFileSync(join(root, 'docs/errors.md'), 'utf8').matchAll(/^\| `([A-Z_]+)` *\|(.*)\|$/gm)]

describe('docs/errors.md', () => {
  test('lists exactly the codes that there are, each once', () => {
    const codes = [...errors.matchAll(/^ {2}\| '([A-Z_]+)'$/gm)].map(([, code]) => code)
    assert.ok(codes.length > 50)
    assert.deepEqual(documented.map(([, code]) => code).sort(), codes.sort())
  })

  test('gives server errors the effect that the client gives them', async () => {
    const { serverErrors } = await import('../src/transport/server-errors.js')
    // UNKNOWN stands for every text that has no row, too.
    const named = [...serverErrors.values()].filter(({ code }) => code !== 'UNKNOWN')
    const effects = new Map(named.map(({ code, effect }) => [String(code), effect]))
    for (const [, code = '', cells = ''] of documented) {
      const effect = effects.get(code)
      if (effect !== undefined) assert.equal(cells.split('|')[1]?.trim(), effect, code)
    }
  })
})
