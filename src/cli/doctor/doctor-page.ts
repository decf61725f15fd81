import { barChart } from '../chart.js'
import { escapeHtml, htmlPage, htmlTable } from '../page.js'
import { formatBytes, formatMs, formatNumber } from '../units.js'
import { clusterFacts, prefixRows } from './cluster-facts.js'
import type { Finding, Severity } from './finding.js'
import { memberColumns, memberRow, roleOf } from './member-rows.js'
import { answering, type ClusterReport, quotaOf } from './report.js'

const looks: Readonly<Record<Severity, string>> = { critical: 'bad', warning: 'warn', advice: 'advice' }

/** A report as a self-contained page. */
export function doctorPage(report: ClusterReport, findings: readonly Finding[]): string {
  return htmlPage('etcdkit doctor', [
    `<p class="note">${report.at.toISOString()} · ${escapeHtml(report.endpoints.map(({ endpoint }) => endpoint).join(', '))}</p>`,
    '<h2>Findings</h2>',
    findingList(findings),
    '<h2>Members</h2>',
    htmlTable(
      memberColumns.map(({ title }) => title.toLowerCase()),
      report.members.map((member) => memberRow(member, report).map(escapeHtml)),
    ),
    roundTripChart(report),
    databaseChart(report),
    peerChart(report),
    '<h2>Cluster</h2>',
    htmlTable(
      ['', ''],
      [...clusterFacts(report), ...unseenRows(report)].map((pair) => pair.map(escapeHtml)),
    ),
    ...prefixParts(report),
    ...largestParts(report),
  ])
}

function findingList(findings: readonly Finding[]): string {
  if (findings.length === 0) return '<p class="good">Nothing: the cluster is fine.</p>'
  const items = findings.map(({ severity, title, advice }) => {
    const steps = advice.map((step) => `<div>→ ${escapeHtml(step)}</div>`).join('')
    return `<li class="${looks[severity]}"><b>${escapeHtml(`${severity}: ${title}`)}</b>${steps}</li>`
  })
  return `<ul class="findings">${items.join('\n')}</ul>`
}

function unseenRows({ unseen }: ClusterReport): [string, string][] {
  return unseen.map(({ what, why }) => [`not seen: ${what}`, why])
}

function roundTripChart({ members }: ClusterReport): string {
  const bars = members.flatMap(({ name, roundTrip }) => {
    if (roundTrip === undefined) return []
    const { p50Ms, p99Ms } = roundTrip
    const text = `${formatMs(p50Ms)}, p99 ${formatMs(p99Ms)}`
    return [{ label: name, value: p99Ms, lighter: p99Ms - p50Ms, text }]
  })
  return bars.length === 0
    ? ''
    : barChart('Round trip from here: half of the calls, and in lighter colour 99 of 100', bars)
}

function databaseChart(report: ClusterReport): string {
  const bars = answering(report).map((member) => {
    const { dbBytes, dbInUseBytes } = member.answer
    const text = `${formatBytes(dbInUseBytes)} of ${formatBytes(dbBytes)}, quota ${formatBytes(quotaOf(member).bytes)}`
    return { label: `${member.name} (${roleOf(member)})`, value: dbBytes, lighter: dbBytes - dbInUseBytes, text }
  })
  return bars.length === 0 ? '' : barChart('Database: bytes in use, and in lighter colour free pages', bars)
}

function peerChart({ members }: ClusterReport): string {
  const names = new Map(members.map(({ id, name }) => [id, name]))
  const bars = members.flatMap(({ name, metrics }) =>
    (metrics?.peers ?? []).map(({ id, roundTrip }) => ({
      label: `${name} → ${names.get(id) ?? id}`,
      value: roundTrip.ms,
      text: formatMs(roundTrip.ms),
    })),
  )
  return bars.length === 0 ? '' : barChart('Round trip between members: 9 of 10, as they measure it', bars)
}

function prefixParts(report: ClusterReport): string[] {
  const prefixes = report.keys?.prefixes ?? []
  if (prefixes.length === 0) return []
  const [byBytes, byKeys] = [
    prefixes.toSorted((a, b) => b.bytes - a.bytes).slice(0, 10),
    prefixes.toSorted((a, b) => b.keys - a.keys).slice(0, 10),
  ]
  const about = report.keys?.isExact === true ? '' : '~'
  return [
    '<h2>Prefixes</h2>',
    barChart(
      'Largest by bytes',
      byBytes.map(({ prefix, bytes }) => ({ label: prefix, value: bytes, text: about + formatBytes(bytes) })),
    ),
    barChart(
      'Largest by keys',
      byKeys.map(({ prefix, keys }) => ({ label: prefix, value: keys, text: formatNumber(keys) })),
    ),
    htmlTable(
      ['prefix', 'keys', 'bytes'],
      prefixRows(report).map((row) => row.map(escapeHtml)),
    ),
  ]
}

function largestParts({ keys }: ClusterReport): string[] {
  const rows = (keys?.largest ?? []).map(({ key, bytes }) => [escapeHtml(key), formatBytes(bytes)])
  return rows.length === 0 ? [] : ['<h2>Largest keys that were seen</h2>', htmlTable(['key', 'value'], rows)]
}
