import type { Look, Style } from '../style.js'
import { renderTable } from '../table.js'
import { clusterFacts, prefixRows } from './cluster-facts.js'
import type { Finding, Severity } from './finding.js'
import { memberColumns, memberRow } from './member-rows.js'
import type { ClusterReport } from './report.js'
import { verdictOf } from './verdict.js'

const looks: Readonly<Record<Severity, Look>> = { critical: 'red', warning: 'yellow', advice: 'cyan' }
/** The JSON and the page contain more. */
const shownPrefixes = 8

/** A report for a terminal. */
export function doctorText(report: ClusterReport, findings: readonly Finding[], style: Style): string {
  const rows = report.members.map((member) => memberRow(member, report))
  const lines = [...renderTable(memberColumns, rows, style), '', ...facts(report, style), ...prefixes(report, style)]
  for (const { what, why } of report.unseen) lines.push(style('dim', `not checked: ${what}: ${why}`))
  lines.push('', ...findings.flatMap((finding) => [...findingLines(finding, style), '']), verdict(findings, style))
  return lines.join('\n')
}

function facts(report: ClusterReport, style: Style): string[] {
  const pairs = clusterFacts(report)
  const width = Math.max(...pairs.map(([name]) => name.length))
  return pairs.map(([name, text]) => `${style('dim', name.padEnd(width))}  ${text}`)
}

function prefixes(report: ClusterReport, style: Style): string[] {
  const rows = prefixRows(report)
  if (rows.length === 0) return []
  const columns = [{ title: 'PREFIX' }, { title: 'KEYS', align: 'right' }, { title: 'BYTES', align: 'right' }] as const
  return ['', ...renderTable(columns, rows.slice(0, shownPrefixes), style)]
}

function findingLines({ severity, title, advice }: Finding, style: Style): string[] {
  return [`${style(looks[severity], severity.toUpperCase())}  ${title}`, ...advice.map((step) => `  → ${step}`)]
}

function verdict(findings: readonly Finding[], style: Style): string {
  const { worst, main, tail } = verdictOf(findings)
  return `${style(worst === undefined ? 'green' : looks[worst], main)}${tail}.`
}
