import type { Evidence } from './checkers.js'
import { groupBy, of } from './of.js'

/** A write is applied once at most: exactly once where it was acknowledged, never where its effect is `none`. */
export function singleWriteViolations({ history, records }: Evidence): string[] {
  const puts = groupBy(
    history.filter(({ type, key }) => type === 'put' && key.startsWith('once/')),
    ({ key }) => key,
  )
  return of(records, 'once').flatMap(({ key, effect, revision }) => {
    const applied = puts.get(key) ?? []
    if (applied.length > 1) return [`${key} was applied ${applied.length} times`]
    if (effect === 'none' && applied.length > 0) return [`${key} has effect none and was applied`]
    if (effect === 'ok' && applied[0]?.revision !== revision) {
      return [`${key} was acknowledged at ${revision}, history has ${applied[0]?.revision}`]
    }
    return []
  })
}
