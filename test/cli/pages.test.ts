import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { benchPage } from '../../src/cli/bench/bench-page.js'
import { Samples } from '../../src/cli/bench/samples.js'
import { summarize } from '../../src/cli/bench/summary.js'
import { doctorPage } from '../../src/cli/doctor/doctor-page.js'
import { findingsOf } from '../../src/cli/doctor/findings.js'
import { Browser } from '../support/browser.js'
import { findChromium } from '../support/chromium.js'
import { answer, member, report } from './doctor-reports.js'

/** What a browser makes of a page. */
interface Sight {
  readonly charts: number
  readonly marks: number
  readonly cutOff: readonly string[]
  readonly isTooWide: boolean
  readonly loaded: readonly string[]
  readonly looksStyled: boolean
  readonly scripts: number
}

const look = `(() => {
  const cutOff = [...document.querySelectorAll('svg text')].filter((text) => {
    const { left, right, top, bottom } = text.closest('svg').getBoundingClientRect()
    const own = text.getBoundingClientRect()
    return own.left < left - 1 || own.right > right + 1 || own.top < top - 1 || own.bottom > bottom + 1
  })
  return {
    charts: document.querySelectorAll('svg').length,
    marks: [...document.querySelectorAll('svg rect.bar, svg polyline')].filter((mark) => mark.getBoundingClientRect().width > 1).length,
    cutOff: cutOff.map((text) => text.textContent),
    isTooWide: document.documentElement.scrollWidth > innerWidth,
    loaded: performance.getEntriesByType('resource').map(({ name }) => name),
    looksStyled: getComputedStyle(document.querySelector('main')).maxWidth === '1240px',
    scripts: document.scripts.length + (window.injected ? 1 : 0),
  }
})()`

const hostile = '<script>window.injected = true</script>"\'&'

function bench(latencies: readonly number[]): string {
  const samples = new Samples(latencies.length)
  for (const ms of latencies) samples.succeeded(ms, 'http://a-host-with-a-long-name.example.com:2379')
  samples.hasFailed(hostile)
  return benchPage(
    'bench put',
    { total: latencies.length, prefix: hostile },
    summarize(samples, {
      startedAt: performance.now() - 5000,
      endedAt: performance.now(),
      cpuMicros: 1e6,
    }),
  )
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

const pages: readonly (readonly [string, string, charts: number, minMarks: number])[] = [
  ['a benchmark', bench(Array.from({ length: 1000 }, (_, at) => (at * 37) % 1000)), 3, 12],
  ['a benchmark of one operation', bench([1]), 3, 1],
  ['a sound cluster', doctorPage(report(), []), 3, 9],
  ['a sick cluster', doctorPage(sick, findingsOf(sick)), 5, 20],
]

const chromium = await findChromium()

describe('In a browser the page of', { skip: typeof chromium === 'string' && chromium }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'etcdkit-pages-'))
  let browser: Browser

  before(() => {
    if (typeof chromium !== 'string') browser = new Browser(chromium)
  })
  after(async () => {
    await browser?.[Symbol.asyncDispose]()
    rmSync(folder, { recursive: true })
  })

  for (const [name, html, charts, minMarks] of pages) {
    for (const width of [1200, 480]) {
      test(`${name}, ${width} wide, shows its charts uncut, loads nothing and runs nothing`, async () => {
        const path = join(folder, 'page.html')
        writeFileSync(path, html)
        const sight = (await browser.evaluate(path, look, width)) as Sight
        const { marks, ...others } = sight
        const expected = { charts, cutOff: [], isTooWide: false, loaded: [], looksStyled: true, scripts: 0 }
        assert.deepEqual(others, expected)
        assert.ok(marks >= minMarks, `${marks} marks`)
      })
    }
  }
})
