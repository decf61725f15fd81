import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { describe, test } from 'node:test'
import { promisify } from 'node:util'

const root = join(import.meta.dirname, '..')
const src = join(root, 'src')

/**
 * The rooms of src, lowest first, and those that each may import from beside itself. A room is a folder with its subfolders;
 * a subfolder with its own row is one, too. `protobuf/generated` and `protobuf` are one room.
 */
const allowedEdges: Readonly<Record<string, readonly string[]>> = {
  core: [],
  protobuf: ['core'],
  telemetry: ['core'],
  transport: ['core', 'protobuf'],
  'transport/grpc': ['core', 'transport'],
  'transport/http2': ['transport'],
  'transport/connection': ['core', 'protobuf', 'transport', 'transport/grpc', 'transport/http2'],
  interceptors: ['core', 'protobuf', 'telemetry', 'transport'],
  auth: ['core', 'protobuf', 'telemetry', 'transport', 'transport/connection'],
  streams: ['core', 'protobuf', 'telemetry', 'transport', 'transport/connection', 'interceptors', 'auth'],
  kv: ['core', 'protobuf', 'transport'],
  'kv/reads': ['core', 'protobuf', 'transport', 'kv'],
  'kv/batching': ['core', 'protobuf', 'transport', 'kv'],
  watch: ['core', 'protobuf', 'transport', 'transport/connection', 'streams'],
  lease: ['core', 'protobuf', 'transport', 'transport/connection', 'streams', 'kv', 'watch'],
  concurrency: ['core', 'kv', 'lease', 'telemetry', 'transport', 'watch'],
  informer: ['core', 'transport', 'transport/connection', 'watch'],
  typed: ['core', 'transport', 'kv', 'watch', 'informer'],
  mirror: ['core', 'kv', 'transport', 'watch'],
  cluster: ['core', 'protobuf', 'transport', 'transport/connection'],
  maintenance: ['core', 'protobuf', 'transport', 'transport/connection', 'streams', 'kv'],
  'server-concurrency': ['core', 'protobuf', 'transport', 'streams'],
  naming: ['core', 'kv', 'informer', 'lease', 'transport'],
  workqueue: ['core'],
  otel: ['core', 'telemetry'],
  prometheus: ['core', 'telemetry'],
  'client/namespace': ['core', 'protobuf', 'kv', 'watch'],
  // The one room that knows how the parts are put together.
  client: ['*'],
  'index.ts': ['*'],
  testing: [],
  // The program prints responses in etcdctl's forms, so it also makes calls with the messages of the wire.
  cli: ['index.ts', 'client', 'core', 'kv', 'protobuf', 'transport', 'testing'],
  // The interface of npm `etcd3` over the public one. Its raw calls go below that, with the messages of the wire.
  etcd3: ['index.ts', 'client', 'core', 'kv', 'protobuf', 'transport', 'transport/connection', 'streams'],
}

/** Packages that one room alone knows. */
const packageHomes: Readonly<Record<string, string>> = {
  '@grpc/grpc-js': 'transport/grpc',
  '@grpc/proto-loader': 'protobuf',
  '@opentelemetry/api': 'otel',
  'prom-client': 'prometheus',
  eventemitter3: 'core',
  'lru-cache': 'core',
  'p-retry': 'interceptors',
}

const maxFileLines = 400
const maxFunctionLines = 50

interface Import {
  readonly from: string
  readonly to: string
}

interface FunctionLength {
  readonly place: string
  readonly name: string
  readonly lines: number
}

const files = readdirSync(src, { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.ts'))
  .sort()
const handWritten = files.filter((file) => !file.startsWith('protobuf/generated/'))

/** The room of a file in src: the longest row that is its path, or leads to it. */
function roomOf(file: string): string | undefined {
  const rooms = Object.keys(allowedEdges).filter((room) => file === room || file.startsWith(`${room}/`))
  return rooms.sort((a, b) => b.length - a.length)[0]
}

function read(file: string): string {
  return readFileSync(join(src, file), 'utf8')
}

function importsOf(file: string): Import[] {
  const pattern = /^(?:import|export)\s+(?:[^'"\n;]|\n(?!\n))*?\s*from\s+'([^']+)'|^import\s+'([^']+)'/gm
  return [...read(file).matchAll(pattern)].map(([, from, bare]) => {
    const specifier = from ?? bare ?? ''
    const path = relative(src, join(src, dirname(file), specifier)).replace(/\.js$/, '.ts')
    return { from: file, to: specifier.startsWith('.') ? path : specifier }
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
  test('has a room for every file, and imports only along the edges of its rooms', () => {
    assert.deepEqual(
      files.filter((file) => roomOf(file) === undefined),
      [],
      'files without a room',
    )
    const wrong = internal.filter(({ from, to }) => {
      const [source = '', target = ''] = [roomOf(from), roomOf(to)]
      const allowed = allowedEdges[source] ?? []
      return source !== target && !allowed.includes(target) && !allowed.includes('*')
    })
    assert.deepEqual(
      wrong.map(({ from, to }) => `${from} → ${to}`),
      [],
    )
    assert.ok(internal.length > 100, `only ${internal.length} imports were found`)
  })

  test('has no unused edge in the table', () => {
    const used = new Set(internal.map(({ from, to }) => `${roomOf(from)} → ${roomOf(to)}`))
    const edges = Object.entries(allowedEdges).flatMap(([from, rooms]) => rooms.map((to) => `${from} → ${to}`))
    assert.deepEqual(
      edges.filter((edge) => !edge.endsWith('*') && !used.has(edge)),
      [],
    )
  })

  test('lists its rooms lowest first: no room imports one that comes after it', () => {
    const order = Object.keys(allowedEdges)
    const upward = Object.entries(allowedEdges).flatMap(([from, rooms]) =>
      rooms.filter((to) => order.indexOf(to) > order.indexOf(from)).map((to) => `${from} → ${to}`),
    )
    assert.deepEqual(upward, [])
  })

  test("lets one room write each section of a call's progress", () => {
    const writers = handWritten.flatMap((file) =>
      [...read(file).matchAll(/progressOf\.(\w+)\(/g)].map(([, section = '']) => ({ section, room: roomOf(file) })),
    )
    const rooms = new Map<string, Set<string | undefined>>()
    for (const { section, room } of writers) rooms.set(section, (rooms.get(section) ?? new Set()).add(room))
    assert.deepEqual(
      [...rooms].filter(([, all]) => all.size > 1),
      [],
    )
    assert.ok(rooms.size >= 8, `only ${rooms.size} sections are written`)
  })

  test('has no import cycles, those of types included', () => {
    assert.deepEqual(cycles(internal), [])
  })

  test('knows each package of the wire, and of each adapter, in one room only', () => {
    const strays = imports.filter(({ from, to }) => packageHomes[to] !== undefined && roomOf(from) !== packageHomes[to])
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

  test('has no `any`, no `!` and no disabled lint rule', async () => {
    const biome = join(root, 'node_modules/.bin/biome')
    const rules = ['--only=suspicious/noExplicitAny', '--only=style/noNonNullAssertion', '--error-on-warnings']
    await promisify(execFile)(biome, ['lint', ...rules, 'src'], { cwd: root })
    assert.deepEqual(
      handWritten.filter((file) => /biome-ignore|@ts-(ignore|expect-error|nocheck)/.test(read(file))),
      [],
    )
  })
})
