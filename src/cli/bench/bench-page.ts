import { columnChart, lineChart } from '../chart.js'
import { escapeHtml, htmlPage, htmlTable } from '../page.js'
import { formatMs, formatNumber } from '../units.js'
import type { Summary } from './summary.js'

/** A page about a run: its figures, how the latencies are distributed, and what was done when. */
export function benchPage(name: string, settings: Readonly<Record<string, unknown>>, summary: Summary): string {
  const shown = Object.entries(settings).map(([flag, value]) => (value === true ? `--${flag}` : `--${flag} ${value}`))
  return htmlPage(`etcdkit ${name}`, [
    `<p class="note"><code>${escapeHtml(shown.join(' '))}</code> ${new Date().toISOString()}</p>`,
    figures(summary),
    latencyHistogram(summary),
    percentileChart(summary),
    throughputChart(summary),
    '<h2>Members</h2>',
    htmlTable(
      ['endpoint', 'operations', 'share'],
      summary.members.map(({ endpoint, operations }) => [
        escapeHtml(endpoint),
        formatNumber(operations),
        `${formatNumber((operations / Math.max(1, summary.operations)) * 100, 1)} %`,
      ]),
    ),
    ...errorsOf(summary),
  ])
}

function figures(summary: Summary): string {
  const percentile = (wanted: number): string =>
    formatMs(summary.percentiles.find(({ percentile }) => percentile === wanted)?.ms ?? 0)
  const pairs = [
    ['operations', formatNumber(summary.operations)],
    ['failed', formatNumber(summary.failed)],
    ['time', formatMs(summary.totalSeconds * 1000)],
    ['operations per second', formatNumber(summary.perSecond)],
    ['average', formatMs(summary.averageMs)],
    ['half within', percentile(50)],
    ['99 % within', percentile(99)],
    ['slowest', formatMs(summary.slowestMs)],
    ['client CPU per operation', `${formatNumber(summary.cpuMicrosPerOperation, 1)} µs`],
  ]
  return `<dl>${pairs.map(([name, value]) => `<div><dt>${name}</dt><dd>${value}</dd></div>`).join('')}</dl>`
}

function latencyHistogram({ histogram }: Summary): string {
  const bars = histogram.map(({ upToMs, count }) => {
    const label = formatMs(upToMs)
    return { label, value: count, text: `${formatNumber(count)} up to ${label}` }
  })
  return columnChart('Latency: how many operations took up to so long', bars, axis('up to'), countAxis)
}

/** Higher percentiles need more room: each nine is as wide as the one before. */
function percentileChart({ percentiles }: Summary): string {
  const place = (percentile: number): number => -Math.log10(1 - percentile / 100)
  const points = percentiles.map(({ percentile, ms }): [number, number] => [place(percentile), ms])
  const marked = percentiles.filter(({ percentile }) => percentile === 10 || percentile >= 50)
  return lineChart(
    'Latency by percentile',
    [{ name: 'latency', points }],
    {
      title: 'per cent of the operations',
      format: (at) => `${Number((100 * (1 - 10 ** -at)).toFixed(1))} %`,
      ticks: marked.map(({ percentile }) => place(percentile)),
    },
    { title: '', format: formatMs },
  )
}

function throughputChart({ throughput }: Summary): string {
  const points = throughput.map(({ atSeconds, perSecond }): [number, number] => [atSeconds, perSecond])
  return lineChart(
    'Throughput over time',
    [{ name: 'throughput', points }],
    { title: 'seconds since the start', format: (at) => formatNumber(at, 2) },
    { title: 'operations per second', format: (value) => formatNumber(value) },
  )
}

function errorsOf({ errors }: Summary): string[] {
  if (errors.length === 0) return []
  const rows = errors.map(({ message, count }) => [formatNumber(count), escapeHtml(message)])
  return ['<h2>Errors</h2>', htmlTable(['times', 'error'], rows)]
}

const countAxis = { title: 'operations', format: (value: number) => formatNumber(value) }

function axis(title: string) {
  return { title, format: formatMs }
}
