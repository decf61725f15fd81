import type { Evidence } from './checkers.js'
import { of } from './of.js'

/** Each item is taken once at most, none that was not enqueued, and one that is gone was taken, perhaps by a lost answer. */
export function queueViolations({ history, records }: Evidence): string[] {
  const enqueued = new Map(of(records, 'enqueued').map(({ item, effect }) => [item, effect]))
  const taken = new Map<string, number>()
  const perhaps = new Set<string>()
  for (const { item, effect } of of(records, 'dequeued')) {
    if (effect === 'ok') taken.set(item, (taken.get(item) ?? 0) + 1)
    else perhaps.add(item)
  }
  const left = itemsLeft(history)
  const violations: string[] = []
  for (const [item, count] of taken) {
    if (count > 1) violations.push(`${item} was taken ${count} times`)
    if (enqueued.get(item) === undefined) violations.push(`${item} was taken and never enqueued`)
    if (enqueued.get(item) === 'none') violations.push(`${item} was taken although it was enqueued without effect`)
    if (left.has(item)) violations.push(`${item} was taken and is still there`)
  }
  for (const [item, effect] of enqueued) {
    if (effect !== 'ok' || taken.has(item) || perhaps.has(item) || left.has(item)) continue
    violations.push(`${item} is gone and nobody has taken it`)
  }
  return violations
}

/** The items that are in the queue at the end of history. */
function itemsLeft(history: Evidence['history']): ReadonlySet<string> {
  const items = new Map<string, string>()
  for (const { type, key, value } of history) {
    if (!key.startsWith('items')) continue
    if (type === 'put') items.set(key, value)
    else items.delete(key)
  }
  return new Set(items.values())
}
