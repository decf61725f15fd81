/**
 * Builds `dist/` from `src/`:
 *
 *     dist/index.js, dist/naming/index.js …    CommonJS, the one that Node runs, whether it was imported or required
 *     dist/index.mjs, dist/naming/index.mjs …  the same for `import`: names of the file beside it, no code
 *     dist/esm/                                ES modules, which bundlers take for both, since they cannot look into CommonJS
 *
 * A process therefore has one copy of the library, however it came in: logins are shared, `instanceof` holds.
 */
import { execFileSync } from 'node:child_process'
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { bundleCommonJs } from './build/common-js.js'
import { entries } from './build/entries.js'
import { writeWrapper } from './build/wrapper.js'

const root = join(import.meta.dirname, '..')
const dist = join(root, 'dist')
const esm = join(dist, 'esm')

/** In which module system Node takes the `.js` files of a folder. */
function setModuleType(folder: string, type: 'commonjs' | 'module'): void {
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'package.json'), `${JSON.stringify({ type, sideEffects: false })}\n`)
}

/** The types keep their comments, which editors show; the code is a third smaller without, and compiled sooner. */
function compile(): void {
  tsc('--declaration', 'false', '--removeComments', '--sourceMap', '--outDir', esm)
  tsc('--emitDeclarationOnly', '--declarationDir', dist)
}

function tsc(...flags: readonly string[]): void {
  const program = join(root, 'node_modules/typescript/bin/tsc')
  execFileSync(process.execPath, [program, ...flags], { cwd: root, stdio: 'inherit' })
}

/** Only what Node runs has source maps: bundlers make their own, and another set would be a third of the package. */
function removeMaps(folder: string): void {
  for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
    const path = join(folder, name)
    if (name.endsWith('.map')) rmSync(path)
    if (name.endsWith('.js'))
      writeFileSync(path, readFileSync(path, 'utf8').replace(/\n\/\/# sourceMappingURL=.*\s*$/, '\n'))
  }
}

async function build(): Promise<void> {
  rmSync(dist, { recursive: true, force: true })
  compile()
  await bundleCommonJs(esm, dist)
  removeMaps(esm)
  setModuleType(dist, 'commonjs')
  setModuleType(esm, 'module')
  // The program is run by Node alone.
  rmSync(join(esm, 'cli'), { recursive: true })
  for (const entry of entries) writeWrapper(dist, entry)
  cpSync(join(root, 'src/testing/etcd-servers'), join(dist, 'testing/etcd-servers'), { recursive: true })
}

await build()
