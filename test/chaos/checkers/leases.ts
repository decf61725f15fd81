import type { Evidence } from './checkers.js'
import { of } from './of.js'

/** No key is gone while its owner holds its lease for alive, and none outlives the revocation of its lease. */
export function leaseViolations({ history, records }: Evidence): string[] {
  const deletedAt = new Map<string, number>()
  for (const { type, key, seenAt } of history) {
    if (type === 'delete' && key.startsWith('lease/')) deletedAt.set(key, seenAt)
  }
  return of(records, 'lease').flatMap(({ key, aliveUntil, isLeft }) => {
    // The recorder sees a deletion late, never early.
    const gone = deletedAt.get(key) ?? Number.POSITIVE_INFINITY
    return [
      ...(gone < aliveUntil
        ? [`${key} was gone ${(aliveUntil - gone).toFixed(0)} ms before its lease was last reported as alive`]
        : []),
      ...(isLeft === true ? [`${key} was still there after its lease had been revoked`] : []),
    ]
  })
}
