import { readFileSync, writeFileSync } from 'node:fs'
import { dirname, isAbsolute, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type OutputOptions, type Plugin, rollup } from 'rollup'
import { entries, programs } from './entries.js'

/**
 * Dependencies that exist as ES modules only, and become a part of the CommonJS build: Node before 20.19 cannot require
 * them, and Jest cannot in any release.
 */
const inlined = ['p-retry', 'is-network-error'] as const

const output: OutputOptions = {
  format: 'cjs',
  entryFileNames: '[name].js',
  chunkFileNames: 'chunks/[name].js',
  exports: 'named',
  esModule: true,
  generatedCode: 'es2015',
  externalLiveBindings: false,
  sourcemap: true,
  // The sources are in the package.
  sourcemapExcludeSources: true,
  // Jest's CommonJS has no `import()`.
  dynamicImportInCjs: false,
  // All dependencies have named exports, in CommonJS as well.
  interop: (id) => (id?.startsWith('node:') ? 'default' : 'esModule'),
}

/** Puts the modules of `from` together as CommonJS: one file for each entry, and chunks for what they share. */
export async function bundleCommonJs(from: string, to: string): Promise<void> {
  const input = Object.fromEntries([...entries, ...programs].map((name) => [name, join(from, `${name}.js`)]))
  const bundle = await rollup({
    input,
    external: (id) => !id.startsWith('.') && !isAbsolute(id) && !isInlined(id),
    plugins: [inlineDependencies(), importMetaUrl(from), sourceMaps(from)],
    onLog: (_level, log) => {
      throw new Error(log.message)
    },
  })
  await bundle.write({ ...output, dir: to })
  await bundle.close()
  writeFileSync(join(to, 'THIRD-PARTY-LICENSES.txt'), inlined.map(licenceOf).join('\n'))
}

function isInlined(id: string): boolean {
  return inlined.some((name) => name === id)
}

function inlineDependencies(): Plugin {
  return {
    name: 'inline-dependencies',
    resolveId: (id) => (isInlined(id) ? fileURLToPath(import.meta.resolve(id)) : null),
  }
}

/** The URL that a module would have if it were a separate file, so that it finds what lies beside it. */
function importMetaUrl(from: string): Plugin {
  return {
    name: 'import-meta-url',
    resolveImportMeta: (property, { chunkId, moduleId }) => {
      if (property !== 'url') return null
      const path = JSON.stringify(relative(dirname(chunkId), relative(from, moduleId)))
      return `new URL(${path}, require('node:url').pathToFileURL(__filename)).href`
    },
  }
}

/** Hands the maps of the compiler on, so that those of the bundle lead to TypeScript. */
function sourceMaps(from: string): Plugin {
  return {
    name: 'source-maps',
    load: (id) => {
      if (!id.startsWith(from)) return null
      return { code: readFileSync(id, 'utf8'), map: readFileSync(`${id}.map`, 'utf8') }
    },
  }
}

function licenceOf(name: string): string {
  const folder = dirname(fileURLToPath(import.meta.resolve(name)))
  return `${name}\n\n${readFileSync(join(folder, 'license'), 'utf8')}`
}
