import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'

const root = join(import.meta.dirname, '..')
const errors = readFileSync(join(root, 'src/core/errors.ts'), 'utf8')
const documented = [...readFileSync(join(root, 'docs/errors.md'), 'utf8').matchAll(/^\| `([A-Z_]+)` *\|(.*)\|$/gm)]

describe('docs/errors.md', () => {
  test('lists exactly the existing codes, each once', () => {
    const codes = [...errors.matchAll(/^ {2}\| '([A-Z_]+)'$/gm)].map(([, code]) => code)
    assert.ok(codes.length > 50)
    assert.deepEqual(documented.map(([, code]) => code).sort(), codes.sort())
  })

  test('documents the effects of server errors that the client reports', async () => {
    const { serverErrors } = await import('../src/transport/server-errors.js')
    // UNKNOWN also stands for every error text without a row.
    const named = [...serverErrors.values()].filter(({ code }) => code !== 'UNKNOWN')
    const effects = new Map(named.map(({ code, effect }) => [String(code), effect]))
    for (const [, code = '', cells = ''] of documented) {
      const effect = effects.get(code)
      if (effect !== undefined) assert.equal(cells.split('|')[1]?.trim(), effect, code)
    }
  })
})

describe('docs/architecture.md', () => {
  const page = readFileSync(join(root, 'docs/architecture.md'), 'utf8')
  const code = [...page.matchAll(/`([^`\n]+)`/g)].map(([, text = '']) => text)

  test('names only existing files and folders', () => {
    const paths = code.filter((text) => /^(src|test|docs|proto|scripts|bench|examples)\/[\w./-]*$/.test(text))
    assert.ok(paths.length > 80, `only ${paths.length} paths were found`)
    assert.deepEqual(
      paths.filter((path) => !existsSync(join(root, path))),
      [],
    )
  })

  test('describes every room of src', () => {
    const rooms = readdirSync(join(root, 'src'), { withFileTypes: true }).filter((entry) => entry.isDirectory())
    const missing = rooms.filter(({ name }) => !code.includes(name) && !page.includes(` ${name}/ `))
    assert.deepEqual(
      missing.map(({ name }) => name),
      [],
    )
  })
})

describe('README.md', () => {
  const readme = readFileSync(join(root, 'README.md'), 'utf8')

  test('has at most 250 lines', () => {
    assert.ok(readme.split('\n').length <= 251)
  })

  test('names every client option', () => {
    const [, names = ''] =
      /const optionNames = \[(.*?)\]/s.exec(readFileSync(join(root, 'src/client/options.ts'), 'utf8')) ?? []
    const options = [...names.matchAll(/'(\w+)'/g)].map(([, name]) => name)
    assert.ok(options.length > 10)
    const table = readme.slice(readme.indexOf('\n## Options\n'), readme.indexOf('\n## Diagnostics\n'))
    const missing = options.filter((name) => !new RegExp(`^\\| [^|]*\`${name}\``, 'm').test(table))
    assert.deepEqual(missing, [])
  })

  test('names every diagnostics channel', async () => {
    const { channels } = await import('../src/index.js')
    for (const { name } of Object.values(channels)) assert.ok(readme.includes(`\`${String(name)}\``), String(name))
  })

  test('and docs/observability.md name every diagnostics channel and event of a client', async () => {
    const { channels } = await import('../src/index.js')
    const { eventNames } = await import('../src/client/client.js')
    const guide = readFileSync(join(root, 'docs/observability.md'), 'utf8')
    const names = [...Object.values(channels).map(({ name }) => String(name)), ...eventNames]
    assert.deepEqual(
      names.filter((name) => !guide.includes(`\`${name}\``)),
      [],
    )
  })

  test('links only to existing files', () => {
    const guides = readdirSync(join(root, 'docs')).flatMap((name) => (name.endsWith('.md') ? [`docs/${name}`] : []))
    for (const file of ['README.md', ...guides]) {
      const links = [...readFileSync(join(root, file), 'utf8').matchAll(/\]\((?!https?:|#)([^)#]+)/g)]
      for (const [, link = ''] of links) assert.ok(existsSync(join(root, file, '..', link)), `${file} links to ${link}`)
    }
  })
})
