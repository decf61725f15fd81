import { join } from 'node:path'
import { npmModules } from '../support/npm-modules.js'

/** The `node_modules` folder of the compilers, bundlers and test runners that projects use the package with. */
export function toolModules(): Promise<string> {
  return npmModules(join(import.meta.dirname, 'tools/package.json'))
}

/** The `node_modules` folder of the schema libraries that codecs are tested with. */
export function schemaLibraries(): Promise<string> {
  return npmModules(join(import.meta.dirname, 'schema-libraries/package.json'))
}
