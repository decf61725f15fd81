import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import * as etcdkit from '../../src/index.js'

const root = join(import.meta.dirname, '../..')

/** A block of code in README.md or the guides. */
export interface Snippet {
  /** The path of the file, relative to the repository's root. */
  readonly file: string
  /** The line of its first statement. */
  readonly line: number
  /** TypeScript is compiled strictly; JavaScript is run as written. */
  readonly language: 'ts' | 'js'
  readonly code: string
  /** Whether the block is executed. Blocks marked `no-run` are only compiled. */
  readonly runs: boolean
}

/** Every block of README.md and the guides that uses this package, in reading order. */
export function readSnippets(): Snippet[] {
  return documents().flatMap(({ file, markdown }) => snippetsOf(file, markdown))
}

function documents(): { readonly file: string; readonly markdown: string }[] {
  const guides = readdirSync(join(root, 'docs'))
    .filter((name) => name.endsWith('.md'))
    .sort()
  return ['README.md', ...guides.map((name) => `docs/${name}`)].map((file) => ({
    file,
    markdown: readFileSync(join(root, file), 'utf8'),
  }))
}

/**
 * The blocks of one file. JavaScript without an import of this package shows another library and is left out, as are blocks
 * marked `file=…`, which quote an example. Throws on any other word after the language but `no-run`, so that no block is skipped
 * by mistake.
 */
export function snippetsOf(file: string, markdown: string): Snippet[] {
  return [...markdown.matchAll(/^```(ts|typescript|js)\b([^\n]*)\n(.*?)^```$/gms)].flatMap((found) => {
    const [, language = '', mark = '', code = ''] = found
    const line = markdown.slice(0, found.index).split('\n').length + 1
    if (mark.startsWith(' file=') || (language === 'js' && !code.includes("from 'etcdkit'"))) return []
    if ((language !== 'ts' && language !== 'js') || !['', ' no-run'].includes(mark))
      throw new Error(`${file}:${line - 1}: unknown kind of block`)
    return { file, line, language, code, runs: mark === '' }
  })
}

/** A block that quotes an example. */
export interface Quotation {
  readonly file: string
  readonly line: number
  /** The path of the example. */
  readonly source: string
  readonly code: string
}

/** Every block of README.md and the guides that is marked `file=…`. */
export function readQuotations(): Quotation[] {
  return documents().flatMap(({ file, markdown }) =>
    [...markdown.matchAll(/^```\w+ file=(\S+)\n(.*?)^```$/gms)].map((found) => {
      const [, source = '', code = ''] = found
      return { file, line: markdown.slice(0, found.index).split('\n').length + 1, source, code }
    }),
  )
}

/**
 * The module of a block, with each statement on its line in the document. A block with imports is complete. A block
 * without imports may use every export of the package, and `etcd`, a client.
 */
export function programOf({ code, line, runs }: Snippet, endpoints: readonly string[]): string {
  const body = runs ? code.replaceAll(sampleEndpoint, (_, member = '1') => hostOf(endpoints[Number(member) - 1])) : code
  const above = '\n'.repeat(line - 2)
  if (/^import /m.test(code)) return `${above}\n${body}`
  const names = Object.keys(etcdkit).join(', ')
  const client = `await using etcd = new Etcd({ endpoints: ${JSON.stringify(endpoints)} })`
  return `${above}import { ${names} } from 'etcdkit'; ${client}; {\n${body}}\n`
}

/** The file name of a block's module. */
export function moduleName({ file, line, language }: Snippet): string {
  return `${file}.${line}.${language === 'ts' ? 'ts' : 'mjs'}`
}

/** The file that Node executes, relative to the project. */
export function scriptName(snippet: Snippet): string {
  const module = moduleName(snippet)
  return snippet.language === 'ts' ? `out/${module.replace(/ts$/, 'js')}` : module
}

/** Replaces the names of modules, in the output of a compiler or in a stack, with lines of the documents. */
export function asDocumentLines(text: string): string {
  return text.replaceAll(/([\w-]+\.md)\.\d+\.(?:ts|mjs)/g, '$1').replaceAll(/(\.md)\((\d+),(\d+)\)/g, '$1:$2:$3')
}

const sampleEndpoint = /10\.0\.0\.([123]):2379|127\.0\.0\.1:2379/g

function hostOf(endpoint = ''): string {
  return new URL(endpoint).host
}
