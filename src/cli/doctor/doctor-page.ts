import { type Bar, barChart } from '../chart.js'
import { definitions, escapeHtml, grid, htmlPage, htmlTable, type Judgement, section, type Verdict } from '../page.js'
import { formatBytes, formatMs, formatNumber } from '../units.js'
import { clusterFacts, prefixRows } from './cluster-facts.js'
import type { Finding, Severity } from './finding.js'
import { memberColumns, memberRow, roleOf } from './member-rows.js'
import { answering, type ClusterReport, quotaOf } from './report.js'
import { verdictOf } from './verdict.js'

const looks: Readonly<Record<Severity, Judgement | 'advice'>> = { critical: 'bad', warning: 'warn', advice: 'advice' }
const shownPrefixes = 10

/** A report as a self-contained page. */
export function doctorPage(report: ClusterReport, findings: readonly Finding[]): string {
  return htmlPage('etcdkit doctor', pageVerdict(report, findings), [
    section('Findings', findingList(findings)),
    section(
      'Members',
      htmlTable(
        memberColumns,
        report.members.map((member) => memberRow(member, report)),
        'wide',
      ),
      grid(
        barChart('Round trip from here: median, and in a lighter color p99', roundTrips(report)),
        barChart('Database: bytes in use, and in a lighter color free pages', databases(report)),
        barChart('Round trip between members: p90, as they measure it', peers(report)),
      ),
    ),
    section('Cluster', definitions('facts', [...clusterFacts(report), ...uncheckedFacts(report)])),
    section('Prefixes', ...prefixParts(report)),
    section('Largest keys', largestKeys(report)),
  ])
}

function pageVerdict(report: ClusterReport, findings: readonly Finding[]): Verdict {
  const { worst, main, tail } = verdictOf(findings)
  const endpoints = report.endpoints.map(({ endpoint }) => endpoint).join(', ')
  return {
    judgement: worst === undefined ? 'good' : worst === 'critical' ? 'bad' : 'warn',
    text: `${main}${tail}`,
    note: `${report.at.toISOString()} · ${endpoints}`,
  }
}

function findingList(findings: readonly Finding[]): string {
  if (findings.length === 0) return ''
  const items = findings.map(({ severity, title, advice }) => {
    const look = looks[severity]
    const steps = advice.map((step) => `<div>→ ${escapeHtml(step)}</div>`).join('')
    return `<li class="${look}"><b class="${look}">${severity}</b> <b>${escapeHtml(title)}</b>${steps}</li>`
  })
  return `<ul class="findings">${items.join('\n')}</ul>`
}

function uncheckedFacts({ unseen }: ClusterReport): [string, string][] {
  return unseen.map(({ what, why }) => [`not checked: ${what}`, why])
}

function roundTrips({ members }: ClusterReport): Bar[] {
  return members.flatMap(({ name, roundTrip }) => {
    if (roundTrip === undefined) return []
    const { p50Ms, p99Ms } = roundTrip
    const text = `${formatMs(p50Ms)}, p99 ${formatMs(p99Ms)}`
    return [{ label: name, value: p99Ms, lighter: p99Ms - p50Ms, text }]
  })
}

function databases(report: ClusterReport): Bar[] {
  return answering(report).map((member) => {
    const { dbBytes, dbInUseBytes } = member.answer
    const text = `${formatBytes(dbInUseBytes)} of ${formatBytes(dbBytes)}, quota ${formatBytes(quotaOf(member).bytes)}`
    return { label: `${member.name} (${roleOf(member)})`, value: dbBytes, lighter: dbBytes - dbInUseBytes, text }
  })
}

function peers({ members }: ClusterReport): Bar[] {
  const names = new Map(members.map(({ id, name }) => [id, name]))
  return members.flatMap(({ name, metrics }) =>
    (metrics?.peers ?? []).map(({ id, roundTrip }) => ({
      label: `${name} → ${names.get(id) ?? id}`,
      value: roundTrip.ms,
      text: formatMs(roundTrip.ms),
    })),
  )
}

function prefixParts(report: ClusterReport): string[] {
  const prefixes = report.keys?.prefixes ?? []
  const byBytes = prefixes.toSorted((a, b) => b.bytes - a.bytes).slice(0, shownPrefixes)
  const byKeys = prefixes.toSorted((a, b) => b.keys - a.keys).slice(0, shownPrefixes)
  const about = report.keys?.isExact === true ? '' : '~'
  return [
    grid(
      barChart(
        'Largest by bytes',
        byBytes.map(({ prefix, bytes }) => ({ label: prefix, value: bytes, text: about + formatBytes(bytes) })),
      ),
      barChart(
        'Largest by keys',
        byKeys.map(({ prefix, keys }) => ({ label: prefix, value: keys, text: formatNumber(keys) })),
      ),
    ),
    htmlTable([{ title: 'prefix' }, number('keys'), number('bytes')], prefixRows(report)),
  ]
}

function largestKeys({ keys }: ClusterReport): string {
  const rows = (keys?.largest ?? []).map(({ key, bytes }) => [key, formatBytes(bytes)])
  return htmlTable([{ title: 'key' }, number('value')], rows)
}

function number(title: string) {
  return { title, align: 'right' } as const
}
