import type { HistoryEvent } from '../recorder.js'
import type { Evidence } from './checkers.js'
import { groupBy, of } from './of.js'

/**
 * What etcd promises of a watch: events are ordered, unique, reliable (none is missing), atomic (those of a revision come
 * together), resumable (over lost connections), and bookmarks never run ahead of events.
 */
export function watchViolations({ history, records }: Evidence): string[] {
  const watches = groupBy(of(records, 'batch'), ({ watch }) => watch)
  return [...watches].flatMap(([watch, batches]) => {
    const violations: string[] = []
    let last = 0
    for (const { revision, events } of batches) {
      if (revision <= last && events.length > 0) violations.push(`events of ${revision} come after ${last}`)
      if (events.some((event) => event.revision !== revision))
        violations.push(`the batch of ${revision} holds events of other revisions`)
      last = Math.max(last, revision)
    }
    const seen = batches.flatMap(({ events }) => events)
    const end = seen.at(-1)?.revision ?? 0
    const expected = history.filter(({ revision }) => revision <= end)
    for (const difference of differences(expected, seen)) violations.push(difference)
    if (end < (history.at(-1)?.revision ?? 0))
      violations.push(`it ends at ${end}, and history at ${history.at(-1)?.revision}`)
    return violations.slice(0, 5).map((violation) => `${watch}: ${violation}`)
  })
}

function differences(
  expected: readonly HistoryEvent[],
  seen: readonly { readonly revision: number; readonly type: string; readonly key: string; readonly value: string }[],
): string[] {
  const text = ({ revision, type, key, value }: (typeof seen)[number]): string => `${revision} ${type} ${key} ${value}`
  const at = expected.findIndex((event, index) => {
    const other = seen[index]
    return other === undefined || text(event) !== text(other)
  })
  if (at < 0 && expected.length === seen.length) return []
  const [wanted, got] = [expected[at], seen[at]]
  return [`event ${at} of history is ${wanted && text(wanted)}, the watch has ${got && text(got)}`]
}
