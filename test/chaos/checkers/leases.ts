import type { Evidence } from './checkers.js'
import { of } from './of.js'

/** A loss is reported this much later than the key is gone, at most, in milliseconds. */
const reportMs = 1500

/** No key with a lease that is kept alive is gone long before its owner ended the lease, unless the owner knew of the loss. */
export function leaseViolations({ history, records }: Evidence): string[] {
  const deletedAt = new Map<string, number>()
  for (const { type, key, seenAt } of history) {
    if (type === 'delete' && key.startsWith('lease/')) deletedAt.set(key, seenAt)
  }
  return of(records, 'lease').flatMap(({ key, endedAt, isLost }) => {
    const gone = deletedAt.get(key)
    if (isLost || gone === undefined || gone > endedAt - reportMs) return []
    return [
      `${key} was gone ${(endedAt - gone).toFixed(0)} ms before its owner ended the lease, and no loss was reported`,
    ]
  })
}
