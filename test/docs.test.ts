import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, test } from 'node:test'
import { readQuotations } from './examples/snippets.js'

const root = join(import.meta.dirname, '..')
const guides = readdirSync(join(root, 'docs')).flatMap((name) => (name.endsWith('.md') ? [`docs/${name}`] : []))
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
  const readme = read('README.md')

  test('can be read in two minutes', () => {
    const words = readme.split(/\s+/).filter((word) => /\w/.test(word))
    assert.ok(words.length <= 750, `${words.length} words`)
  })

  test('starts with one command and at most ten lines of JavaScript', () => {
    const [install, program = ''] = [...readme.matchAll(/^```(.*?)^```$/gms)].map(([, block]) => block)
    assert.equal(install, 'sh\nnpm install etcdkit\n')
    assert.match(program, /^js\n/)
    assert.ok(program.split('\n').filter((line) => line !== '').length <= 11)
  })

  test('links to every guide', () => {
    assert.deepEqual(
      guides.filter((guide) => !readme.includes(`(${guide}`)),
      [],
    )
  })
})

describe('The guides', () => {
  test('docs/options.md names every client option', () => {
    const [, names = ''] =
      /const optionNames = \[(.*?)\]/s.exec(readFileSync(join(root, 'src/client/options.ts'), 'utf8')) ?? []
    const options = [...names.matchAll(/'(\w+)'/g)].map(([, name]) => name)
    assert.ok(options.length > 10)
    const table = read('docs/options.md')
    const missing = options.filter((name) => !new RegExp(`^\\| [^|]*\`${name}\``, 'm').test(table))
    assert.deepEqual(missing, [])
  })

  test('docs/observability.md names every diagnostics channel and event of a client', async () => {
    const { channels } = await import('../src/index.js')
    const { eventNames } = await import('../src/client/client.js')
    const guide = read('docs/observability.md')
    const names = [...Object.values(channels).map(({ name }) => String(name)), ...eventNames]
    assert.deepEqual(
      names.filter((name) => !guide.includes(`\`${name}\``)),
      [],
    )
  })

  test('quote examples as they are', () => {
    const quotations = readQuotations()
    assert.ok(quotations.length > 5)
    for (const { file, line, source, code } of quotations) {
      assert.ok(read(source).includes(code), `${file}:${line} differs from ${source}`)
    }
  })

  test('and README.md link only to existing files and headings', () => {
    for (const file of ['README.md', ...guides]) {
      for (const [, path = '', heading] of read(file).matchAll(/\]\((?!https?:)([^)#]*)(?:#([^)]+))?\)/g)) {
        const target = path === '' ? file : join(dirname(file), path)
        assert.ok(existsSync(join(root, target)), `${file} links to ${target}`)
        if (heading !== undefined)
          assert.ok(headingsOf(target).includes(heading), `${file} links to ${target}#${heading}`)
      }
    }
  })
})

function read(file: string): string {
  return readFileSync(join(root, file), 'utf8')
}

/** The headings of a page as GitHub links to them. */
function headingsOf(file: string): readonly string[] {
  return [...read(file).matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\w\- ]/g, '')
      .replaceAll(' ', '-'),
  )
}
