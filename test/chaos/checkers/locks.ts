import type { Evidence } from './checkers.js'
import { groupBy, of } from './of.js'

type Held = ReturnType<typeof of<'held'>>[number]

/** No two hold what excludes them at one time, no more than the permits, and fences rise from holder to holder. */
export function lockViolations({ records }: Evidence): string[] {
  const locks = groupBy(of(records, 'held'), ({ lock }) => lock)
  return [...locks].flatMap(([lock, times]) => {
    const sorted = times.sort((a, b) => a.from - b.from)
    return [...overlaps(sorted), ...fences(sorted)].slice(0, 5).map((violation) => `${lock}: ${violation}`)
  })
}

function overlaps(sorted: readonly Held[]): string[] {
  const violations: string[] = []
  let held: Held[] = []
  for (const next of sorted) {
    held = held.filter(({ to }) => to > next.from)
    const rival = held.find((other) => other.isExclusive || next.isExclusive)
    if (rival !== undefined) violations.push(`${text(rival)} and ${text(next)} hold it at one time`)
    held.push(next)
    if (held.length > next.limit) violations.push(`${held.length} hold it at one time: ${held.map(text).join(', ')}`)
  }
  return violations
}

/** The fence of an exclusive holder is above all before it. Shared holders may have the same one, above the exclusive ones before. */
function fences(sorted: readonly Held[]): string[] {
  const violations: string[] = []
  let greatest: Held | undefined
  let exclusive: Held | undefined
  for (const next of sorted) {
    const before = next.isExclusive ? greatest : exclusive
    if (before !== undefined && before.fence >= next.fence) violations.push(`${text(next)} comes after ${text(before)}`)
    if (greatest === undefined || next.fence > greatest.fence) greatest = next
    if (next.isExclusive) exclusive = next
  }
  return violations
}

function text({ fence, from, to }: Held): string {
  return `fence ${fence} (${from.toFixed(1)} to ${to.toFixed(1)})`
}
