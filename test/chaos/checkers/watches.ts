import type { HistoryEvent } from '../recorder.js'
import { eventText, revisionOf } from '../records.js'
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
      if (events.some((event) => revisionOf(event) !== revision))
        violations.push(`the batch of ${revision} holds events of other revisions`)
      last = Math.max(last, revision)
    }
    const seen = batches.flatMap(({ events }) => events)
    const end = revisionOf(seen.at(-1) ?? '0')
    const expected = history.filter(({ revision }) => revision <= end)
    for (const difference of differences(expected, seen)) violations.push(difference)
    if (end < (history.at(-1)?.revision ?? 0))
      violations.push(`it ends at ${end}, and history at ${history.at(-1)?.revision}`)
    return violations.slice(0, 5).map((violation) => `${watch}: ${violation}`)
  })
}

function differences(expected: readonly HistoryEvent[], seen: readonly string[]): string[] {
  const at = expected.findIndex((event, index) => eventText(event) !== seen[index])
  if (at < 0 && expected.length === seen.length) return []
  const wanted = expected[at]
  return [`event ${at} of history is ${wanted && eventText(wanted)}, the watch has ${seen[at]}`]
}
