import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { describe, test } from 'node:test'
import { featureOf } from './features.js'
import { matrixFiles, root } from './jobs.js'
import { renderResults } from './page.js'
import { type Column, columnsOf, mergeResults } from './results.js'
import { runJob, type TestRecord } from './run-job.js'

const job = { version: '3.5.30', transport: 'http2', file: join('test', 'integration', 'watch.test.ts') } as const

function columnWith(version: string, records: readonly TestRecord[]): Column {
  const [column = assert.fail()] = columnsOf([{ job: { ...job, version }, seconds: 1, records }], ['http2'])
  return column
}

const passed: TestRecord = { path: ['A watch', 'ends'], outcome: 'passed' }
const skipped: TestRecord = { path: ['A watch', 'begins'], outcome: 'skipped', reason: 'the version has none' }
const failed: TestRecord = { path: ['A watch', 'goes on'], outcome: 'failed', reason: 'Error: a | b\n  at x' }

describe('The matrix of etcd versions', () => {
  test('has a feature for each of its test files', () => {
    const files = matrixFiles()
    assert.ok(files.length > 80)
    const counted = files.map((file) => featureOf(file))
    assert.ok(counted.filter((feature) => feature === 'Other').length < 5, 'test/matrix/features.ts is out of date')
    assert.deepEqual(
      ['kv', 'kv', 'frozen-member'].map((name, index) => featureOf(`${name}.test.ts`, ['Transactions', 'Keys'][index])),
      ['Transactions', 'Keys and values', 'Failover and lost connections'],
    )
  })

  test('records the outcome of each test of a file, with the reasons of skips and failures', async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'etcdkit-matrix-'))
    t.after(() => rmSync(folder, { recursive: true }))
    const file = join(folder, 'some.test.mjs')
    const source = `
      import { before, describe, test } from 'node:test'
      describe('A suite', () => {
        test('passes', () => {})
        test('is skipped', (t) => t.skip('for a reason'))
        test('fails', () => { throw new Error('it is broken') })
      })
      describe('A suite whose hook fails', () => {
        before(() => { throw new Error('no cluster') })
        test('never runs', () => {})
      })
      describe('A skipped suite', { skip: 'not here' }, () => { test('never runs', () => {}) })
    `
    writeFileSync(file, source)
    const { records } = await runJob({ ...job, file: relative(root, file) })
    const text = records.map(({ path, outcome, reason }) => `${path.join(' ')}: ${outcome} ${reason?.split('\n')[0]}`)
    assert.ok(text.includes('A suite passes: passed undefined'), text.join('\n'))
    assert.ok(text.includes('A suite is skipped: skipped for a reason'), text.join('\n'))
    assert.ok(text.includes('A suite fails: failed Error: it is broken'), text.join('\n'))
    assert.ok(
      text.some((line) => /hook fails.*: failed .*no cluster/.test(line)),
      text.join('\n'),
    )
    assert.ok(text.includes('A skipped suite: skipped not here'), text.join('\n'))
    writeFileSync(file, 'process.exit(3)')
    const [record] = (await runJob({ ...job, file: relative(root, file) })).records
    assert.match(`${record?.outcome}: ${record?.reason}`, /^failed: the process ended with 3/)
  })

  test('replaces the columns of the versions that ran again, and keeps the others', () => {
    const before = { columns: [columnWith('3.4.23', [passed]), columnWith('3.5.30', [failed])], unavailable: ['3.7.9'] }
    const now = {
      columns: [columnWith('3.10.0', []), columnWith('3.5.30', [passed])],
      unavailable: ['3.4.23', '3.4.37'],
    }
    const { columns, unavailable } = mergeResults(before, now)
    const counts = columns.map(({ version, features }) => [version, features.Watches?.passed, features.Watches?.failed])
    assert.deepEqual(counts, [
      ['3.4.23', 1, 0],
      ['3.5.30', 1, 0],
      ['3.10.0', 0, 0],
    ])
    assert.deepEqual(unavailable, ['3.4.37'])
  })

  test('shows what passed, what failed and what was skipped for which reason', () => {
    const columns = [columnWith('3.4.23', [passed, skipped]), columnWith('3.5.30', [passed, failed])]
    const page = renderResults({ columns, unavailable: ['3.4.37'] })
    assert.ok(page.includes('| Watches | 1, 1 skipped | 1, **1 failed** |'), page)
    assert.ok(page.includes('| integration/watch: A watch begins | the version has none | 3.4.23 http2 |'), page)
    assert.ok(page.includes('| integration/watch: A watch goes on | Error: a \\| b | 3.5.30 http2 |'), page)
    assert.ok(page.includes('Not tested, because the machine could not get them: 3.4.37.'), page)
  })
})
