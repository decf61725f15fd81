import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { useCluster } from '../support/cluster.js'
import { RecipeProject } from './recipe-project.js'

const transports = ['http2', 'grpc-js'] as const
const used = '8080\nput config/port 8080\ntrue false\n8080\ntrue\n'

describe('A program that puts, gets, watches, locks, lists leases and closes', () => {
  const cluster = useCluster()
  let project: RecipeProject
  let commonJs: RecipeProject

  before(async () => {
    ;[project, commonJs] = await Promise.all([RecipeProject.create(), RecipeProject.create({})])
    for (const target of [project, commonJs]) {
      target.copy('test/recipes/programs', '.')
      target.write('tsconfig.json', JSON.stringify({ compilerOptions: target === project ? esm : cjs }))
    }
  })
  after(() => {
    project?.remove()
    commonJs?.remove()
  })

  const esm = { module: 'nodenext', target: 'es2022', types: ['node'], strict: true, skipLibCheck: true }
  const cjs = { ...esm, module: 'commonjs', moduleResolution: 'node10', ignoreDeprecations: '6.0' }
  const compile = () => project.bin('tsc', ['-p', '.', '--outDir', 'compiled'])
  const env = () => ({ ENDPOINTS: cluster.endpoints.join(',') })

  async function assertUses(target: RecipeProject, program: string, args: readonly string[]): Promise<void> {
    for (const transport of transports) {
      const { stdout, stderr } = await target.run(program, [...args, transport], env())
      assert.deepEqual({ stdout, stderr }, { stdout: used, stderr: '' }, transport)
    }
  }

  test('runs in Bun', () => assertUses(project, project.native('@oven', 'bin/bun'), ['use.ts']))

  test('runs in Deno', () => {
    const flags = ['run', '--allow-net', '--allow-env', '--allow-read', '--node-modules-dir=manual', '--no-prompt']
    return assertUses(project, project.native('@deno', 'deno'), [...flags, 'use.ts'])
  })

  test('runs with tsx, as an ES module and as CommonJS', async () => {
    for (const target of [project, commonJs]) await assertUses(target, target.installed('.bin/tsx'), ['use.ts'])
  })

  test('runs with ts-node in a CommonJS project', () =>
    assertUses(commonJs, commonJs.installed('.bin/ts-node'), ['use.ts']))

  test('runs as a bundle of webpack that lies alone in a folder', async (t) => {
    const alone = RecipeProject.createEmpty()
    t.after(() => alone.remove())
    await compile()
    project.write('webpack.config.cjs', `module.exports = ${JSON.stringify(webpackConfig(alone.folder))}`)
    await project.bin('webpack', ['--config', 'webpack.config.cjs'])
    await assertUses(alone, process.execPath, ['bundle.cjs'])
  })

  test('runs in a project of pnpm that refuses the install script of protobufjs', async (t) => {
    const target = await RecipeProject.createWithTarball()
    t.after(() => target.remove())
    target.copy('test/recipes/programs/use.ts', 'use.ts')
    target.write('pnpm-workspace.yaml', 'allowBuilds:\n  protobufjs: false\n')
    await target.run(process.execPath, [project.installed('pnpm/bin/pnpm.mjs'), 'add', target.tarball])
    await assertUses(target, project.installed('.bin/tsx'), ['use.ts'])
  })

  test("runs in a project of Yarn with Plug'n'Play", async (t) => {
    const target = await RecipeProject.createWithTarball()
    t.after(() => target.remove())
    await compile()
    target.write('use.js', project.read('compiled/use.js'))
    target.write('yarn.lock', '')
    const yarn = (...args: readonly string[]) =>
      target.run(process.execPath, [project.installed('@yarnpkg/cli-dist/bin/yarn.js'), ...args], {
        ...env(),
        ...yarnEnv,
      })
    await yarn('add', `etcdkit@file:${target.tarball}`)
    for (const transport of transports) assert.equal((await yarn('node', 'use.js', transport)).stdout, used)
  })

  for (const program of ['worker', 'processes'] as const) {
    test(`has a client in each ${program === 'worker' ? 'worker thread' : 'process of node:cluster'}`, async () => {
      await compile()
      const { stdout, stderr } = await project.run(process.execPath, [`compiled/${program}.js`], env())
      assert.deepEqual({ stdout, stderr }, { stdout: '60\n', stderr: '' })
    })
  }
})

const webpackConfig = (path: string): object => ({
  mode: 'production',
  target: 'node',
  entry: './compiled/use.js',
  output: { path, filename: 'bundle.cjs' },
})

const yarnEnv = {
  YARN_ENABLE_IMMUTABLE_INSTALLS: 'false',
  YARN_ENABLE_GLOBAL_CACHE: 'false',
  YARN_ENABLE_TELEMETRY: 'false',
}
