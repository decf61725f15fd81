import { join } from 'node:path'
import { npmModules } from '../support/npm-modules.js'

/** The `node_modules` folder of the compilers, bundlers and test runners that projects use the package with. */
export function toolModules(): Promise<string> {
  return npmModules(join(import.meta.dirname, 'tools/package.json'))
}
