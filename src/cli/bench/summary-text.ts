import { formatNumber } from '../units.js'
import type { Summary } from './summary.js'

const longestBar = 40

/** A summary as etcd's own benchmark tool prints it, then the figures that only a client has. */
export function summaryText(summary: Summary): string {
  const lines = [
    '',
    'Summary:',
    `  Total:\t${seconds(summary.totalSeconds * 1000)}.`,
    `  Slowest:\t${seconds(summary.slowestMs)}.`,
    `  Fastest:\t${seconds(summary.fastestMs)}.`,
    `  Average:\t${seconds(summary.averageMs)}.`,
    `  Stddev:\t${seconds(summary.stddevMs)}.`,
    `  Requests/sec:\t${summary.perSecond.toFixed(4)}`,
    '',
    'Response time histogram:',
    ...histogramLines(summary),
    '',
    'Latency distribution:',
    ...summary.percentiles.map(({ percentile, ms }) => `  ${percentile}% in ${seconds(ms)}.`),
    ...errorLines(summary),
    '',
    'Client:',
    `  CPU:\t${formatNumber(summary.cpuMicrosPerOperation, 1)} µs per operation`,
    ...summary.members.map(({ endpoint, operations }) => memberLine(endpoint, operations, summary.operations)),
  ]
  return lines.join('\n')
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(4)} secs`
}

function histogramLines({ histogram }: Summary): string[] {
  const most = Math.max(1, ...histogram.map(({ count }) => count))
  return histogram.map(({ upToMs, count }) => {
    const bar = '∎'.repeat(Math.floor((count * longestBar) / most))
    return `  ${(upToMs / 1000).toFixed(4)} [${count}]\t|${bar}`
  })
}

function errorLines({ errors }: Summary): string[] {
  if (errors.length === 0) return []
  return ['', 'Error distribution:', ...errors.map(({ message, count }) => `  [${count}]\t${message}`)]
}

function memberLine(endpoint: string, operations: number, all: number): string {
  return `  Member:\t${endpoint} ${formatNumber(operations)} (${formatNumber((operations / all) * 100, 1)} %)`
}
