import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { promDefinitions } from '../src/prometheus/exposition.js'
import { metricNames } from '../src/telemetry/metric-definitions.js'

const docs = join(import.meta.dirname, '../docs')

interface Panel {
  readonly id: number
  readonly title: string
  readonly targets?: readonly { readonly expr: string; readonly legendFormat: string }[]
}

const { panels }: { panels: readonly Panel[] } = JSON.parse(readFileSync(join(docs, 'grafana-dashboard.json'), 'utf8'))
const targets = panels.flatMap(({ targets = [] }) => targets)

/** The metrics of an expression, without the suffix that a histogram's series have. */
function metricsOf(expr: string): string[] {
  return [...expr.matchAll(/\b((?:etcd|grpc|db)_\w+)\{/g)].map(([, name = '']) => {
    const base = name.replace(/_(bucket|sum|count)$/, '')
    return promDefinitions.get(base)?.kind === 'histogram' ? base : name
  })
}

describe('docs/grafana-dashboard.json', () => {
  test('shows exactly the existing metrics', () => {
    const shown = new Set(targets.flatMap(({ expr }) => metricsOf(expr)))
    assert.deepEqual([...shown].sort(), [...promDefinitions.keys()].sort())
  })

  test('uses only labels that its metrics have', () => {
    for (const { expr, legendFormat } of targets) {
      const [metric = ''] = metricsOf(expr)
      const known = new Set(['client', 'le', ...(promDefinitions.get(metric)?.labels ?? [])])
      const selected = [...expr.matchAll(/[{,]\s*(\w+)(?==|!=|=~|!~)/g)].map(([, label]) => label)
      const grouped = [...expr.matchAll(/by \(([^)]*)\)/g)].flatMap(([, list = '']) => list.split(/,\s*/))
      const named = [...legendFormat.matchAll(/\{\{(\w+)\}\}/g)].map(([, label]) => label)
      for (const label of [...selected, ...grouped, ...named]) assert.ok(known.has(label ?? ''), `${label} in ${expr}`)
      for (const label of named) assert.ok(grouped.includes(label ?? ''), `${label} is not left in ${expr}`)
    }
  })

  test('has an ID for each panel', () => {
    assert.equal(new Set(panels.map(({ id }) => id)).size, panels.length)
  })
})

describe('docs/observability.md', () => {
  test('names every metric, in both notations', () => {
    const guide = readFileSync(join(docs, 'observability.md'), 'utf8')
    const names = [...metricNames, 'rpc.client.call.duration', ...promDefinitions.keys()]
    assert.deepEqual(
      names.filter((name) => !guide.includes(`\`${name}\``)),
      [],
    )
  })
})
