import { writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { basename, join } from 'node:path'

const require = createRequire(import.meta.url)

/** Writes the ES module that hands on what the CommonJS file of an entry exports, and its types. */
export function writeWrapper(dist: string, entry: string): void {
  const file = join(dist, `${entry}.js`)
  const from = `./${basename(file)}`
  const exported: object = require(file)
  const names = Object.keys(exported).sort()
  const lines = names.map((name) => `export const ${name} = module.${name}\n`)
  writeFileSync(join(dist, `${entry}.mjs`), `import module from '${from}'\n\n${lines.join('')}`)
  writeFileSync(join(dist, `${entry}.d.mts`), `export * from '${from}'\n`)
}
