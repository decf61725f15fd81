import type { Evidence } from './checkers.js'
import { of } from './of.js'

/** What was written with the effect `none` is nowhere in history. */
export function noEffectViolations({ history, records }: Evidence): string[] {
  const values = new Set(history.filter(({ key }) => key.startsWith('reg/')).map(({ value }) => value))
  return of(records, 'none').flatMap(({ values: written, code }) =>
    written.filter((value) => values.has(value)).map((value) => `${value} was refused (${code}) and was applied`),
  )
}
