import type { Evidence } from './checkers.js'
import { of } from './of.js'

/** A client's serializable reads include its own writes and never go back in time. */
export function readViolations({ records }: Evidence): string[] {
  return of(records, 'read')
    .filter(({ floor, revision }) => revision < floor)
    .map(({ reader, floor, revision }) => `${reader} read revision ${revision} after it had seen ${floor}`)
}
