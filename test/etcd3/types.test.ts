import assert from 'node:assert/strict'
import { copyFileSync, existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { etcd3Folder } from '../../bench/contenders/etcd3.js'
import { devProgram, run } from '../package/packed-package.js'

const root = join(import.meta.dirname, '../..')
const programs = join(import.meta.dirname, 'programs')

/** Compiles the programs beside etcd3, with whose dependencies they work, against the types at `etcd3`. */
async function compile(name: string, etcd3: string): Promise<void> {
  const folder = join(etcd3Folder(), `programs-${name}`)
  mkdirSync(folder, { recursive: true })
  for (const file of readdirSync(programs)) copyFileSync(join(programs, file), join(folder, file))
  const compilerOptions = {
    noEmit: true,
    strict: true,
    skipLibCheck: true,
    target: 'es2022',
    module: 'commonjs',
    moduleResolution: 'bundler',
    types: ['node'],
    typeRoots: [join(root, 'node_modules/@types')],
    paths: { etcd3: [etcd3] },
  }
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, include: ['*.ts'] }))
  await run(devProgram('tsc'), ['-p', folder], root)
}

describe('A program for etcd3', () => {
  test('compiles against etcd3 and against etcdkit/etcd3', async () => {
    const ours = join(root, 'dist/etcd3/index.d.ts')
    assert.ok(existsSync(ours), 'run npm run build first')
    await compile('etcd3', join(etcd3Folder(), 'node_modules/etcd3/lib/index.d.ts'))
    await compile('etcdkit', ours)
  })
})
