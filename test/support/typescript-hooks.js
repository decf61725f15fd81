import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = join(import.meta.dirname, '../..')
const cache = join(root, 'node_modules/.cache/etcdkit-tests')
const options = { loader: 'ts', format: 'esm', target: 'node20', sourcemap: 'inline', sourcesContent: false }
const require = createRequire(import.meta.url)
const settings = JSON.stringify([require('esbuild/package.json').version, options])
mkdirSync(cache, { recursive: true })

/** A deliberate fault in one file, for `npm run mutants`: `{ file, from, to }`. */
const mutant = JSON.parse(process.env.ETCDKIT_MUTANT ?? '{}')

/** Finds `name.ts` where a module imports `./name.js`. */
export function resolve(specifier, context, nextResolve) {
  if (!/^\..*\.js(\?|$)/.test(specifier)) return nextResolve(specifier, context)
  const url = new URL(specifier.replace(/\.js(?=\?|$)/, '.ts'), context.parentURL)
  return existsSync(url) ? { url: url.href, format: 'module', shortCircuit: true } : nextResolve(specifier, context)
}

/** Gives the JavaScript of a TypeScript file, from the cache if it was compiled before. */
export function load(url, context, nextLoad) {
  if (!/^file:.*\.ts(\?|$)/.test(url)) return nextLoad(url, context)
  return { format: 'module', source: compile(fileURLToPath(url)), shortCircuit: true }
}

function compile(file) {
  const source = mutated(file, readFileSync(file, 'utf8'))
  const key = createHash('sha1').update(settings).update(file).update(source).digest('hex')
  const compiled = join(cache, `${key}.js`)
  if (existsSync(compiled)) return readFileSync(compiled, 'utf8')
  const { code } = require('esbuild').transformSync(source, { ...options, sourcefile: file })
  // Other processes may compile the same file: none of them ever sees half of it.
  const draft = `${compiled}.${process.pid}`
  writeFileSync(draft, code)
  renameSync(draft, compiled)
  return code
}

function mutated(file, source) {
  if (mutant.file === undefined || file !== join(root, mutant.file)) return source
  return source.replace(mutant.from, () => mutant.to)
}
