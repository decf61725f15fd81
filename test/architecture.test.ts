import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { describe, test } from 'node:test'
import { promisify } from 'node:util'

const root = join(import.meta.dirname, '..')
const src = join(root, 'src')

/** The folders, lowest first, and those that each may import from beside itself. */
const allowedEdges: Readonly<Record<string, readonly string[]>> = {
  core: [],
  gen: ['core', 'wire'],
  wire: ['core', 'gen'],
  telemetry: ['core'],
  transport: ['core', 'gen', 'wire'],
  layers: ['core', 'gen', 'wire', 'telemetry', 'transport'],
  batching: ['core', 'gen', 'wire', 'transport'],
  kv: ['core', 'gen', 'wire', 'transport'],
  auth: ['core', 'gen', 'wire', 'transport', 'layers'],
  watch: ['core', 'gen', 'wire', 'transport', 'layers'],
  namespace: ['core', 'gen', 'wire', 'transport', 'watch'],
  lease: ['core', 'gen', 'wire', 'transport', 'layers', 'kv', 'watch'],
  lock: ['core', 'kv', 'lease', 'transport', 'watch'],
  election: ['core', 'kv', 'lock', 'transport', 'watch'],
  recipes: ['core', 'kv', 'lock', 'transport', 'watch'],
  stm: ['core', 'kv', 'transport'],
  informer: ['core', 'transport', 'watch'],
  naming: ['core', 'kv', 'informer', 'lease', 'transport'],
  workqueue: ['core'],
  otel: ['core', 'telemetry'],
  prometheus: ['core', 'telemetry'],
  // The program uses what every user of the package has; only its bench of logins makes calls of its own.
  cli: ['.', 'core', 'transport', 'wire'],
  concurrency: ['core', 'gen', 'wire', 'transport', 'layers'],
  cluster: ['core', 'gen', 'wire', 'transport'],
  maintenance: ['core', 'gen', 'wire', 'transport', 'layers'],
  mirror: ['core', 'kv', 'transport', 'watch'],
  compactor: ['core', 'kv'],
  health: ['core', 'wire', 'transport', 'maintenance'],
  testing: [],
}

/** Packages that one folder alone knows. */
const packageHomes: Readonly<Record<string, string>> = {
  '@grpc/grpc-js': 'transport',
  '@grpc/proto-loader': 'wire',
  '@opentelemetry/api': 'otel',
  'prom-client': 'prometheus',
}

const maxFileLines = 400
const maxFunctionLines = 50

interface Import {
  readonly from: string
  readonly to: string
  readonly isType: boolean
}

interface FunctionLength {
  readonly place: string
  readonly name: string
  readonly lines: number
}

const files = readdirSync(src, { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.ts'))
  .sort()
const handWritten = files.filter((file) => folderOf(file) !== 'gen')

/** The folder of a file in src; `.` for those at the top. */
function folderOf(file: string): string {
  return file.includes('/') ? (file.split('/')[0] ?? '.') : '.'
}

function read(file: string): string {
  return readFileSync(join(src, file), 'utf8')
}

function importsOf(file: string): Import[] {
  const pattern = /^(?:import|export)\s+(?:(type)\s)?(?:[^'"\n;]|\n(?!\n))*?\s*from\s+'([^']+)'|^import\s+'([^']+)'/gm
  return [...read(file).matchAll(pattern)].map(([, type, from, bare]) => {
    const specifier = from ?? bare ?? ''
    const path = relative(src, join(src, dirname(file), specifier)).replace(/\.js$/, '.ts')
    return { from: file, to: specifier.startsWith('.') ? path : specifier, isType: type !== undefined }
  })
}

const imports = files.flatMap(importsOf)
const internal = imports.filter(({ to }) => to.endsWith('.ts'))

/** The cycles that can be reached, each as its files in order. */
function cycles(edges: readonly Import[]): string[] {
  const targets = groupByFrom(edges)
  const done = new Set<string>()
  const found: string[] = []
  const visit = (file: string, path: readonly string[]): void => {
    const at = path.indexOf(file)
    if (at >= 0) found.push([...path.slice(at), file].join(' → '))
    if (at >= 0 || done.has(file)) return
    for (const { to } of targets.get(file) ?? []) visit(to, [...path, file])
    done.add(file)
  }
  for (const file of files) visit(file, [])
  return found
}

function groupByFrom(edges: readonly Import[]): Map<string, Import[]> {
  const groups = new Map<string, Import[]>()
  for (const edge of edges) groups.set(edge.from, [...(groups.get(edge.from) ?? []), edge])
  return groups
}

/** The code is formatted, so a function's body ends at the first `}` that is indented as the line which opens it. */
function functionsOf(file: string): FunctionLength[] {
  const lines = read(file).split('\n')
  return lines.flatMap((line, index) => {
    const [, indent, code = ''] = /^(\s*)(.*)$/.exec(line) ?? []
    const opens = /(\)|\): [^=]*|=>) \{$/.test(code) && !/^(\} |)(if|for|while|switch|catch|else|try|do)\b/.test(code)
    if (!opens || indent === undefined) return []
    const begin = code.startsWith(')') ? signatureStart(lines, index, indent) : index
    const end = lines.findIndex((other, at) => at > index && other.startsWith(`${indent}}`))
    return [{ place: `${file}:${begin + 1}`, name: (lines[begin] ?? '').trim(), lines: end - begin + 1 }]
  })
}

function signatureStart(lines: readonly string[], index: number, indent: string): number {
  return lines.findLastIndex(
    (line, at) => at < index && line.startsWith(indent) && !/^\s/.test(line.slice(indent.length)),
  )
}

describe('The architecture of src', () => {
  test('has every folder in the table, and imports only along its edges', () => {
    const folders = [...new Set(files.map(folderOf))].filter((folder) => folder !== '.')
    assert.deepEqual(
      folders.filter((folder) => allowedEdges[folder] === undefined),
      [],
      'folders without a row',
    )
    const wrong = internal.filter(({ from, to }) => {
      const [source, target] = [folderOf(from), folderOf(to)]
      return source !== '.' && source !== target && !allowedEdges[source]?.includes(target)
    })
    assert.deepEqual(
      wrong.map(({ from, to }) => `${from} → ${to}`),
      [],
    )
    assert.ok(internal.length > 100, `only ${internal.length} imports were found`)
  })

  test('has no import cycles', () => {
    assert.deepEqual(cycles(internal.filter(({ isType }) => !isType)), [])
  })

  test('knows each package of the wire, and of each adapter, in one folder only', () => {
    const strays = imports.filter(
      ({ from, to }) => packageHomes[to] !== undefined && folderOf(from) !== packageHomes[to],
    )
    assert.deepEqual(
      strays.map(({ from, to }) => `${from} → ${to}`),
      [],
    )
    for (const name of Object.keys(packageHomes))
      assert.ok(
        imports.some(({ to }) => to === name),
        `nobody uses ${name}`,
      )
  })

  test('imports what package.json lists, and nothing else', () => {
    const { dependencies, peerDependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
    const used = imports.map(({ to }) => to).filter((to) => !to.endsWith('.ts') && !to.startsWith('node:'))
    assert.deepEqual([...new Set(used)].sort(), Object.keys({ ...dependencies, ...peerDependencies }).sort())
  })

  test(`has no file over ${maxFileLines} lines`, () => {
    const lengths = handWritten.map((file) => ({ file, lines: read(file).split('\n').length - 1 }))
    assert.deepEqual(
      lengths.filter(({ lines }) => lines > maxFileLines),
      [],
    )
  })

  test(`has no function over ${maxFunctionLines} lines`, (t) => {
    const functions = handWritten.flatMap(functionsOf).sort((a, b) => b.lines - a.lines)
    assert.ok(functions.length > 500, `only ${functions.length} functions were found`)
    for (const { lines, place, name } of functions.slice(0, 10)) t.diagnostic(`${lines} lines: ${place} ${name}`)
    assert.deepEqual(
      functions.filter(({ lines }) => lines > maxFunctionLines),
      [],
    )
  })

  test('has no `any` and no `!`, and no lint rule is switched off', async () => {
    const biome = join(root, 'node_modules/.bin/biome')
    const rules = ['--only=suspicious/noExplicitAny', '--only=style/noNonNullAssertion', '--error-on-warnings']
    await promisify(execFile)(biome, ['lint', ...rules, 'src'], { cwd: root })
    assert.deepEqual(
      handWritten.filter((file) => /biome-ignore|@ts-(ignore|expect-error|nocheck)/.test(read(file))),
      [],
    )
  })
})
