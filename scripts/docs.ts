/**
 * Builds the documentation site in `site/`: README, guides and API reference, by TypeDoc.
 *
 *     npm run docs
 *     npm run docs -- --treatWarningsAsErrors    fails if something is not documented or a link leads nowhere
 */
import { spawnSync } from 'node:child_process'
import { rmSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { npmModules } from '../test/support/npm-modules.js'

const root = join(import.meta.dirname, '..')
const folder = join(root, 'scripts/site')

const modules = await npmModules(join(folder, 'package.json'))
// The plugin imports typedoc from where it lies.
const link = join(folder, 'node_modules')
rmSync(link, { recursive: true, force: true })
symlinkSync(modules, link, 'junction')
try {
  rmSync(join(root, 'site'), { recursive: true, force: true })
  const { status } = spawnSync(
    process.execPath,
    [join(modules, 'typedoc/bin/typedoc'), '--options', join(folder, 'typedoc.json'), ...process.argv.slice(2)],
    { cwd: root, stdio: 'inherit' },
  )
  process.exitCode = status ?? 1
} finally {
  rmSync(link)
}
