import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { benchPage } from '../../src/cli/bench/bench-page.js'
import { runLoad } from '../../src/cli/bench/load.js'
import { progressLine } from '../../src/cli/bench/progress.js'
import { Samples } from '../../src/cli/bench/samples.js'
import { percentileOf, summarize } from '../../src/cli/bench/summary.js'
import { summaryText } from '../../src/cli/bench/summary-text.js'

const { signal } = new AbortController()

function samplesOf(...latenciesMs: number[]): Samples {
  const samples = new Samples(latenciesMs.length)
  for (const ms of latenciesMs) samples.succeeded(ms, 'http://a')
  return samples
}

describe('A load', () => {
  test('makes every operation once, with limited concurrency', async () => {
    const [made, samples] = [new Set<number>(), new Samples(100)]
    let [running, most] = [0, 0]
    const operation = async (index: number, worker: number) => {
      made.add(index)
      running += 1
      most = Math.max(most, running)
      await delay(1)
      running -= 1
      return { endpoint: `member ${worker % 2}` }
    }
    await runLoad(operation, samples, { total: 100, clients: 10, rate: 0, signal })
    assert.deepEqual([made.size, most, samples.done], [100, 10, 100])
    assert.deepEqual([...samples.members.keys()].sort(), ['member 0', 'member 1'])
  })

  test('keeps its rate', async () => {
    const samples = new Samples(50)
    const startedAt = performance.now()
    await runLoad(async () => ({}), samples, { total: 50, clients: 2, rate: 200, signal })
    const tookMs = performance.now() - startedAt
    assert.ok(tookMs >= 240, `${tookMs} ms`)
  })

  test('measures from the time an operation was due, so that a stall counts for all that had to wait', async () => {
    const samples = new Samples(50)
    // One client, 200 a second, and the first operation takes 200 ms: the next 39 are late by what is left of that.
    const operation = async (index: number) => {
      if (index === 0) await delay(200)
      return {}
    }
    await runLoad(operation, samples, { total: 50, clients: 1, rate: 200, signal })
    const late = samples.latenciesMs.filter((ms) => ms > 20).length
    assert.ok(late >= 30, `${late} operations were late`)
    const unbound = new Samples(50)
    await runLoad(operation, unbound, { total: 50, clients: 1, rate: 0, signal })
    assert.equal(unbound.latenciesMs.filter((ms) => ms > 190).length, 1)
  })

  test('counts failures and continues', async () => {
    const samples = new Samples(10)
    const operation = async (index: number) => {
      if (index % 5 === 0) throw new Error('no')
      return {}
    }
    await runLoad(operation, samples, { total: 10, clients: 2, rate: 0, signal })
    assert.deepEqual([samples.latenciesMs.length, samples.failed], [8, 2])
    assert.deepEqual([...samples.errors], [['no', 2]])
  })

  test('ends on request', async () => {
    const ending = new AbortController()
    const operation = async (index: number) => {
      if (index === 3) ending.abort(new Error('enough'))
      return {}
    }
    const options = { total: 1000, clients: 1, rate: 100, signal: ending.signal }
    await assert.rejects(runLoad(operation, new Samples(1000), options), /enough/)
  })
})

describe('A summary', () => {
  const cost = { startedAt: 0, endedAt: 2000, cpuMicros: 500 }

  test('contains the latency figures', () => {
    const summary = summarize(samplesOf(4, 1, 3, 2, 10), cost)
    assert.deepEqual(
      [summary.fastestMs, summary.slowestMs, summary.averageMs, summary.perSecond, summary.cpuMicrosPerOperation],
      [1, 10, 4, 2.5, 100],
    )
    assert.ok(Math.abs(summary.stddevMs - Math.sqrt(10)) < 1e-9)
    assert.deepEqual(summary.members, [{ endpoint: 'http://a', operations: 5 }])
  })

  test('counts every operation in one row of the histogram', () => {
    const latencies = Array.from({ length: 101 }, (_, index) => index)
    const { histogram } = summarize(samplesOf(...latencies), cost)
    assert.deepEqual(
      histogram.map(({ upToMs, count }) => [upToMs, count]),
      [[0, 1], ...Array.from({ length: 10 }, (_, row) => [(row + 1) * 10, 10])],
    )
    assert.equal(summarize(samplesOf(5, 5, 5), cost).histogram[0]?.count, 3)
  })

  test('computes percentiles', () => {
    const sorted = Array.from({ length: 1000 }, (_, index) => index + 1)
    assert.deepEqual(
      [50, 99, 99.9, 100].map((wanted) => percentileOf(sorted, wanted)),
      [500, 990, 999, 1000],
    )
    assert.equal(percentileOf([7], 10), 7)
    assert.equal(percentileOf([], 10), 0)
  })

  test("has the format of etcd's tool", () => {
    const text = summaryText(summarize(samplesOf(1, 2, 3), cost))
    assert.match(
      text,
      /\nSummary:\n {2}Total:\t2\.0000 secs\.\n {2}Slowest:\t0\.0030 secs\.\n {2}Fastest:\t0\.0010 secs\.\n/,
    )
    assert.match(text, /\n {2}Average:\t0\.0020 secs\.\n {2}Stddev:\t0\.0008 secs\.\n {2}Requests\/sec:\t1\.5000\n/)
    assert.match(text, /\nResponse time histogram:\n {2}0\.0010 \[1\]\t\|∎{40}\n/)
    assert.match(text, /\nLatency distribution:\n {2}10% in 0\.0010 secs\.\n.*\n {2}50% in 0\.0020 secs\.\n/)
  })

  test('of failures only has no meaningless figures', () => {
    const samples = new Samples(1)
    samples.hasFailed('no <member>')
    const summary = summarize(samples, cost)
    const shown = [summaryText(summary), JSON.stringify(summary), benchPage('bench put', {}, summary)]
    for (const text of shown) assert.doesNotMatch(text, /NaN|Infinity|null|undefined/)
    assert.ok(shown[2]?.includes('no &lt;member&gt;'))
  })
})

test('Progress shows the share, the rate and the remaining time', () => {
  assert.equal(progressLine(250, 1000, 125), '██████░░░░░░░░░░░░░░░░░░  25 %  125/s  6 s left')
  assert.match(progressLine(250, 1000, 0), /standing still$/)
})
