import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import * as etcdkit from '../../src/index.js'

const root = join(import.meta.dirname, '../..')

/** A block of TypeScript in README.md or the guides. */
export interface Snippet {
  /** The file, from the repository's root. */
  readonly file: string
  /** The line of its first statement. */
  readonly line: number
  readonly code: string
  /** Whether it is run. Blocks marked `no-run` are compiled only. */
  readonly runs: boolean
}

/** Every block of TypeScript of README.md and the guides, in the order of a reader. */
export function readSnippets(): Snippet[] {
  const guides = readdirSync(join(root, 'docs'))
    .filter((name) => name.endsWith('.md'))
    .sort()
  return ['README.md', ...guides.map((name) => `docs/${name}`)].flatMap((file) =>
    snippetsOf(file, readFileSync(join(root, file), 'utf8')),
  )
}

/** The blocks of one file. Other words after `ts` than `no-run` are refused, so that no block is passed over. */
export function snippetsOf(file: string, markdown: string): Snippet[] {
  return [...markdown.matchAll(/^```(ts|typescript)\b([^\n]*)\n(.*?)^```$/gms)].map((found) => {
    const [, language = '', mark = '', code = ''] = found
    const line = markdown.slice(0, found.index).split('\n').length + 1
    if (language !== 'ts' || !['', ' no-run'].includes(mark))
      throw new Error(`${file}:${line - 1}: unknown kind of block`)
    return { file, line, code, runs: mark === '' }
  })
}

/**
 * A module of the block, each statement on the line that it has in the document. A block with imports is complete. One
 * without has what the reader has by then: the names of the package, and `etcd`, a client.
 */
export function programOf({ code, line, runs }: Snippet, endpoints: readonly string[]): string {
  const body = runs
    ? code.replaceAll(sampleEndpoint, (_, member: string) => hostOf(endpoints[Number(member) - 1]))
    : code
  const above = '\n'.repeat(line - 2)
  if (/^import /m.test(code)) return `${above}\n${body}`
  const names = Object.keys(etcdkit).join(', ')
  const client = `await using etcd = new Etcd({ endpoints: ${JSON.stringify(endpoints)} })`
  return `${above}import { ${names} } from 'etcdkit'; ${client}; {\n${body}}\n`
}

/** The name of a block's module. */
export function moduleName({ file, line }: Snippet): string {
  return `${file}.${line}.ts`
}

/** Names the lines of the documents, where a compiler or a stack names those of the modules. */
export function asDocumentLines(text: string): string {
  return text.replaceAll(/([\w-]+\.md)\.\d+\.ts/g, '$1').replaceAll(/(\.md)\((\d+),(\d+)\)/g, '$1:$2:$3')
}

const sampleEndpoint = /10\.0\.0\.([123]):2379/g

function hostOf(endpoint = ''): string {
  return new URL(endpoint).host
}
