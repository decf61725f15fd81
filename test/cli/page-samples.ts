import { benchPage } from '../../src/cli/bench/bench-page.js'
import { Samples } from '../../src/cli/bench/samples.js'
import { summarize } from '../../src/cli/bench/summary.js'
import { doctorPage } from '../../src/cli/doctor/doctor-page.js'
import { findingsOf } from '../../src/cli/doctor/findings.js'
import { answer, member, report } from './doctor-reports.js'

/** A page with what it must show. */
export interface PageSample {
  readonly name: string
  readonly html: string
  readonly charts: number
  readonly minMarks: number
}

const hostile = '<script>window.injected = true</script>"\'&'

function bench(latencies: readonly number[], failures: readonly string[] = []): string {
  const samples = new Samples(latencies.length)
  for (const ms of latencies) samples.succeeded(ms, 'http://a-host-with-a-long-name.example.com:2379')
  for (const message of failures) samples.hasFailed(message)
  const endedAt = performance.now()
  const cost = { startedAt: endedAt - 5000, endedAt, cpuMicros: 1e6 }
  return benchPage('bench put', { total: latencies.length, prefix: hostile }, summarize(samples, cost))
}

const sick = report({
  members: [
    member(0, { name: hostile }),
    member(1, { answer: answer({ dbBytes: 1.999e9, dbInUseBytes: 1e8 }), endpoint: `https://${'x'.repeat(60)}:2379` }),
    member(2, { answer: { kind: 'silent', reason: hostile } }),
  ],
  keys: {
    total: 12_345_678,
    isExact: false,
    prefixes: Array.from({ length: 20 }, (_, at) => ({
      prefix: 'prefix/'.repeat(at + 1),
      keys: 10 ** (at % 8),
      bytes: 10 ** (at % 10),
    })),
    largest: [{ key: hostile, bytes: 1_500_000 }],
    sampled: 1000,
    withLease: 0,
    distinctLeases: 0,
  },
})

const spread = Array.from({ length: 1000 }, (_, at) => (at * 37) % 1000)

/** Pages of sound and sick clusters, and of benchmarks. */
export const pageSamples: readonly PageSample[] = [
  { name: 'a benchmark', html: bench(spread, [hostile]), charts: 3, minMarks: 12 },
  { name: 'a benchmark of one operation', html: bench([1]), charts: 3, minMarks: 1 },
  { name: 'a benchmark without a success', html: bench([], ['unavailable']), charts: 0, minMarks: 0 },
  { name: 'a sound cluster', html: doctorPage(report(), []), charts: 3, minMarks: 9 },
  { name: 'a sick cluster', html: doctorPage(sick, findingsOf(sick)), charts: 5, minMarks: 20 },
]
