import type { Evidence } from './checkers.js'
import { of } from './of.js'

/** What was written with the effect `none` is nowhere in history. */
export function noEffectViolations({ history, records }: Evidence): string[] {
  const registers = valuesUnder(history, 'reg/')
  const items = valuesUnder(history, 'items')
  const refused = of(records, 'none').flatMap(({ values, code }) =>
    values
      .filter((value) => registers.has(value))
      .map((value) => `the write of ${value} failed with effect none (${code}) and was applied`),
  )
  const enqueued = of(records, 'enqueued')
    .filter(({ item, effect }) => effect === 'none' && items.has(item))
    .map(({ item }) => `the item ${item} was enqueued with effect none and is in history`)
  return [...refused, ...enqueued]
}

function valuesUnder(history: Evidence['history'], prefix: string): ReadonlySet<string> {
  return new Set(history.filter(({ key }) => key.startsWith(prefix)).map(({ value }) => value))
}
