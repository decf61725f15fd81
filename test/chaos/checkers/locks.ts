import type { Evidence } from './checkers.js'
import { groupBy, of } from './of.js'

type Held = ReturnType<typeof of<'held'>>[number]

/** A moment must lie this far inside both times, in milliseconds: the records of two processes are not one instant. */
const marginMs = 1

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
    held = held.filter(({ to }) => to - marginMs > next.from)
    const rival = held.find((other) => other.isExclusive || next.isExclusive)
    if (rival !== undefined) violations.push(`${text(rival)} and ${text(next)} hold it at one time`)
    held.push(next)
    if (held.length > next.limit) violations.push(`${held.length} hold it at one time: ${held.map(text).join(', ')}`)
  }
  return violations
}

function fences(sorted: readonly Held[]): string[] {
  const exclusive = sorted.filter(({ isExclusive }) => isExclusive)
  return exclusive.flatMap((next, index) => {
    const before = exclusive[index - 1]
    return before === undefined || before.fence < next.fence ? [] : [`${text(next)} comes after ${text(before)}`]
  })
}

function text({ fence, from, to }: Held): string {
  return `fence ${fence} (${from.toFixed(1)} to ${to.toFixed(1)})`
}
