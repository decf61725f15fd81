import { type HistogramColumn, histogram, lineChart } from '../chart.js'
import { definitions, grid, htmlPage, htmlTable, section, type Verdict } from '../page.js'
import { formatMs, formatNumber } from '../units.js'
import type { Summary } from './summary.js'

/** A page about a run: its figures, the distribution of the latencies, and the throughput over time. */
export function benchPage(name: string, settings: Readonly<Record<string, unknown>>, summary: Summary): string {
  return htmlPage(`etcdkit ${name}`, verdictOf(settings, summary), [
    ...(summary.operations === 0 ? [] : measurements(summary)),
    section('Errors', errorTable(summary)),
  ])
}

function measurements(summary: Summary): string[] {
  return [
    definitions('figures', figures(summary)),
    grid(latencyHistogram(summary), percentileChart(summary), throughputChart(summary)),
    section('Members and percentiles', grid(memberTable(summary), percentileTable(summary))),
  ]
}

function verdictOf(settings: Readonly<Record<string, unknown>>, summary: Summary): Verdict {
  const { operations, failed, perSecond } = summary
  const flags = Object.entries(settings).flatMap(([flag, value]) => {
    if (value === undefined || value === false) return []
    return [value === true ? `--${flag}` : `--${flag} ${value}`]
  })
  const errors = failed === 0 ? 'no errors' : `${formatNumber(failed)} of ${formatNumber(operations + failed)} failed`
  const speed = `${formatNumber(perSecond)} operations/s, p50 ${percentile(summary, 50)}, p99 ${percentile(summary, 99)}`
  return {
    judgement: operations === 0 ? 'bad' : failed > 0 ? 'warn' : 'good',
    text: operations === 0 ? `No operation succeeded, ${errors}` : `${speed}, ${errors}`,
    note: [...flags, new Date().toISOString()].join(' · '),
  }
}

function percentile({ percentiles }: Summary, wanted: number): string {
  return formatMs(percentiles.find(({ percentile }) => percentile === wanted)?.ms ?? 0)
}

function figures(summary: Summary): [string, string][] {
  return [
    ['operations', formatNumber(summary.operations)],
    ['failed', formatNumber(summary.failed)],
    ['operations/s', formatNumber(summary.perSecond)],
    ['duration', formatMs(summary.totalSeconds * 1000)],
    ['fastest', formatMs(summary.fastestMs)],
    ['average', formatMs(summary.averageMs)],
    ['p50', percentile(summary, 50)],
    ['p99', percentile(summary, 99)],
    ['slowest', formatMs(summary.slowestMs)],
    ['CPU per operation', `${formatNumber(summary.cpuMicrosPerOperation, 1)} µs`],
  ]
}

/** The first row holds the fastest operations alone, so it has no width; it joins the second one. */
function latencyHistogram({ histogram: rows }: Summary): string {
  const [first, ...others] = rows
  const columns = others.map(({ upToMs, count }, at): HistogramColumn => {
    const from = others[at - 1]?.upToMs ?? first?.upToMs ?? 0
    return { from, to: upToMs, count: at === 0 ? count + (first?.count ?? 0) : count }
  })
  const widest = columns.filter(({ from, to }) => to > from)
  // All operations took the same time.
  const [last] = columns.slice(-1)
  const shown = widest.length > 0 ? widest : last === undefined ? [] : [{ ...last, from: 0, count: total(rows) }]
  return histogram(
    'Latency',
    shown,
    { title: 'latency', format: formatMs },
    { title: 'operations', format: formatNumber },
  )
}

function total(rows: Summary['histogram']): number {
  return rows.reduce((sum, { count }) => sum + count, 0)
}

/** Higher percentiles need more room: each nine is as wide as the one before. */
function percentileChart({ percentiles }: Summary): string {
  const place = (percentile: number): number => -Math.log10(1 - percentile / 100)
  const points = percentiles.map(({ percentile, ms }): [number, number] => [place(percentile), ms])
  const marked = percentiles.filter(({ percentile }) => [10, 50, 90, 99, 99.9].includes(percentile))
  return lineChart(
    'Latency by percentile',
    points,
    {
      title: 'percentile',
      format: (at) => `p${Number((100 * (1 - 10 ** -at)).toFixed(1))}`,
      ticks: marked.map(({ percentile }) => place(percentile)),
    },
    { title: 'latency', format: formatMs },
  )
}

function throughputChart({ throughput }: Summary): string {
  const points = throughput.map(({ atSeconds, perSecond }): [number, number] => [atSeconds, perSecond])
  return lineChart(
    'Throughput',
    points,
    { title: 'seconds since the start', format: (at) => formatNumber(at, 2) },
    { title: 'operations per second', format: formatNumber },
  )
}

function memberTable({ members, operations }: Summary): string {
  const columns = [{ title: 'endpoint' }, number('operations'), number('share')]
  const rows = members.map(({ endpoint, operations: count }) => [
    endpoint,
    formatNumber(count),
    `${formatNumber((count / Math.max(1, operations)) * 100, 1)} %`,
  ])
  return htmlTable(columns, rows)
}

function percentileTable({ percentiles }: Summary): string {
  const rows = percentiles.map(({ percentile, ms }) => [`p${percentile}`, formatMs(ms)])
  return htmlTable([{ title: 'percentile' }, number('latency')], rows)
}

function errorTable({ errors }: Summary): string {
  const rows = errors.map(({ message, count }) => [formatNumber(count), message])
  return htmlTable([number('count'), { title: 'error' }], rows)
}

function number(title: string) {
  return { title, align: 'right' } as const
}
