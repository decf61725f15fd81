import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { EtcdCluster } from '../../src/testing/index.js'
import { PackedPackage } from '../package/packed-package.js'
import { schemaLibraries } from '../package/tools.js'
import {
  asDocumentLines,
  moduleName,
  programOf,
  readSnippets,
  type Snippet,
  scriptName,
  snippetsOf,
} from './snippets.js'

/** Signs of a mistake in the output of an example. */
const senseless = /undefined|NaN|\[object/

describe('The code blocks of README.md and the guides', () => {
  const snippets = readSnippets()
  let project: PackedPackage
  let cluster: EtcdCluster
  let compiled: Promise<unknown>

  before(async () => {
    const started = EtcdCluster.start({ members: 3 })
    const [installed, libraries] = await Promise.all([PackedPackage.install(), schemaLibraries()])
    project = installed
    cluster = await started
    project.addAdapterDependencies()
    project.link(join(libraries, 'zod'), 'node_modules/zod')
    for (const snippet of snippets) project.write(moduleName(snippet), programOf(snippet, cluster.endpoints))
    project.write('tsconfig.json', JSON.stringify({ compilerOptions, include: ['*.md.*.ts', 'docs'] }))
    compiled = project.tsc('--pretty', 'false')
    await compiled.catch(() => undefined) // The first test reports it.
  })
  after(async () => {
    await cluster?.stop()
    project?.[Symbol.dispose]()
  })

  test('compile strictly against the types of the package', async () => {
    await compiled.catch((error: Error) => assert.fail(asDocumentLines(error.message)))
  })

  for (const snippet of snippets.filter(({ runs }) => runs)) {
    test(`${snippet.file}:${snippet.line} runs and exits`, async () => {
      const { stdout, stderr } = await run(project, snippet)
      assert.equal(stderr, '')
      assert.doesNotMatch(stdout, senseless)
    })
  }

  test('are found with their lines, except JavaScript of other libraries', () => {
    const markdown =
      'text\n\n```ts\na()\n```\n```ts no-run\nb()\n```\n```sh\nc\n```\n```js\nother()\n```\n' +
      "```js\nimport { Etcd } from 'etcdkit'\n```\n"
    assert.deepEqual(snippetsOf('x.md', markdown), [
      { file: 'x.md', line: 4, language: 'ts', code: 'a()\n', runs: true },
      { file: 'x.md', line: 7, language: 'ts', code: 'b()\n', runs: false },
      { file: 'x.md', line: 16, language: 'js', code: "import { Etcd } from 'etcdkit'\n", runs: true },
    ])
    assert.throws(() => snippetsOf('x.md', '\n```ts norun\na()\n```\n'), /x\.md:2: unknown kind of block/)
    assert.throws(() => snippetsOf('x.md', '```typescript\na()\n```\n'), /x\.md:1: unknown kind of block/)
  })

  test('that fail are reported with their line in the document', async () => {
    const failing: Snippet = {
      file: 'failing.md',
      line: 5,
      language: 'ts',
      code: "await etcd.put('', 'value')\n",
      runs: true,
    }
    project.write(moduleName(failing), programOf(failing, cluster.endpoints))
    await project.tsc('--pretty', 'false')
    await assert.rejects(run(project, failing), /failing\.md:5:\d+/)
    const wrong = { ...failing, file: 'wrong.md', code: "\nawait etcd.putt('key', 'value')\n" }
    project.write(moduleName(wrong), programOf(wrong, cluster.endpoints))
    const failure = await project.tsc('--pretty', 'false').catch((error: Error) => asDocumentLines(error.message))
    assert.match(String(failure), /^wrong\.md:6:.* error TS2551/m)
  })
})

const compilerOptions = {
  module: 'nodenext',
  target: 'es2022',
  lib: ['es2022', 'esnext.disposable'],
  types: ['node'],
  strict: true,
  exactOptionalPropertyTypes: true,
  noUncheckedIndexedAccess: true,
  noImplicitReturns: true,
  sourceMap: true,
  rootDir: '.',
  outDir: 'out',
}

async function run(project: PackedPackage, snippet: Snippet): Promise<{ stdout: string; stderr: string }> {
  const script = join(project.folder, scriptName(snippet))
  try {
    return await project.node('--enable-source-maps', script)
  } catch (error) {
    assert.fail(asDocumentLines(error instanceof Error ? error.message : String(error)))
  }
}
