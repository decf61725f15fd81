import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { parseLine } from '../../src/cli/arguments.js'
import { commands } from '../../src/cli/commands.js'

const root = join(import.meta.dirname, '../..')
const guide = readFileSync(join(root, 'docs/cli.md'), 'utf8')

describe('docs/cli.md', () => {
  const lines = [...guide.matchAll(/^```sh\n(.*?)^```$/gms)].flatMap(([, block = '']) => block.trim().split('\n'))

  for (const line of lines) {
    test(`shows a valid command line: ${line}`, () => {
      const words = [...line.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, word]) => quoted ?? word ?? '')
      const end = words.findIndex((word) => /^[<|]$/.test(word))
      const [program, ...argv] = end < 0 ? words : words.slice(0, end)
      assert.equal(program, 'etcdkit')
      assert.ok(parseLine(argv, commands).command)
    })
  }

  test('shows every command', () => {
    for (const { name } of commands)
      assert.ok(
        lines.some((line) => line.startsWith(`etcdkit ${name}`)),
        name,
      )
  })

  test('lists every finding', () => {
    const folder = join(root, 'src/cli/doctor/findings')
    const sources = readdirSync(folder).map((name) => readFileSync(join(folder, name), 'utf8'))
    const ids = sources.flatMap((source) => [
      ...source.matchAll(/(?:id: |note\()'([a-z-]+)'|\? '([a-z-]+)' : '([a-z-]+)'/g),
    ])
    const names = new Set(ids.flatMap(([, ...found]) => found.filter((id) => id?.includes('-') || id !== undefined)))
    const severities = ['critical', 'warning', 'advice']
    const missing = [...names].filter(
      (id) => id !== undefined && !severities.includes(id) && !guide.includes(`\`${id}\``),
    )
    assert.ok(names.size > 20)
    assert.deepEqual(missing, [])
  })
})
