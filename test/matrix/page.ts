import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { featureNames } from './features.js'
import { root, type Transport } from './jobs.js'
import type { Column, Counts, Exception, Results } from './results.js'

const file = join(root, 'docs/compatibility.md')
const begin = '<!-- written by npm run test:matrix -->'
const end = '<!-- end -->'

/** Writes the results into the page, between its two marks. */
export function writePage(results: Results): void {
  const page = readFileSync(file, 'utf8')
  const [from, to] = [page.indexOf(begin), page.indexOf(end)]
  if (from < 0 || to < from) throw new Error(`${file} has lost the marks ${begin} and ${end}`)
  writeFileSync(file, `${page.slice(0, from)}${begin}\n\n${renderResults(results)}\n${page.slice(to)}`)
}

/** The tables of the page, in Markdown. */
export function renderResults({ columns, unavailable }: Results): string {
  const of = (transport: Transport): readonly Column[] => columns.filter((column) => column.transport === transport)
  const parts = [
    '### Over the built-in HTTP/2 (`http2`, the default)',
    renderTable(of('http2')),
    '### Over `grpc-js`',
    renderTable(of('grpc-js')),
    ...renderExceptions(columns, 'failed', '### Failed'),
    ...renderExceptions(columns, 'skipped', '### Skipped'),
  ]
  if (unavailable.length > 0)
    parts.push(`Not tested, because the machine could not get them: ${unavailable.join(', ')}.`)
  return `${parts.join('\n\n')}\n`
}

function renderTable(columns: readonly Column[]): string {
  if (columns.length === 0) return 'Not tested yet.'
  const shown = featureNames.filter((name) => columns.some(({ features }) => renderCounts(features[name]) !== ''))
  const rows = shown.map((name) => [name, ...columns.map(({ features }) => renderCounts(features[name]))])
  const total = ['all', ...columns.map(({ features }) => renderCounts(sum(Object.values(features))))]
  const date = ['date', ...columns.map((column) => column.date)]
  const node = ['Node', ...columns.map((column) => column.node)]
  return toMarkdown(['', ...columns.map(({ version }) => version)], [...rows, total, date, node])
}

function renderCounts({ passed, failed, skipped }: Counts = { passed: 0, failed: 0, skipped: 0 }): string {
  if (passed + failed + skipped === 0) return ''
  const parts = [`${passed}`]
  if (failed > 0) parts.push(`**${failed} failed**`)
  if (skipped > 0) parts.push(`${skipped} skipped`)
  return parts.join(', ')
}

function sum(all: readonly Counts[]): Counts {
  const total = (outcome: keyof Counts): number => all.reduce((count, counts) => count + counts[outcome], 0)
  return { passed: total('passed'), failed: total('failed'), skipped: total('skipped') }
}

function renderExceptions(columns: readonly Column[], outcome: Exception['outcome'], title: string): string[] {
  const places = new Map<string, string[]>()
  for (const { version, transport, exceptions } of columns) {
    for (const exception of exceptions.filter((each) => each.outcome === outcome)) {
      const row = `${escapeCell(exception.test)} | ${escapeCell(firstLine(exception.reason))}`
      places.set(row, [...(places.get(row) ?? []), `${version} ${transport}`])
    }
  }
  if (places.size === 0) return []
  const rows = Array.from(places, ([row, at]) => [row, at.join(', ')])
  return [title, toMarkdown(['test | reason', 'on'], rows)]
}

function firstLine(text: string): string {
  return text.split('\n', 1)[0]?.slice(0, 300) ?? ''
}

function escapeCell(text: string): string {
  return text.replaceAll('|', '\\|')
}

function toMarkdown(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`
  const rule = line(
    header
      .join(' | ')
      .split(' | ')
      .map(() => '---'),
  )
  return [line(header), rule, ...rows.map(line)].join('\n')
}
