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
    let passed = 0
    for (const { revision, events } of batches) {
      if (revision <= passed && events.length > 0) violations.push(`events of ${revision} come after ${passed}`)
      if (events.some((event) => revisionOf(event) !== revision))
        violations.push(`the batch of ${revision} holds events of other revisions`)
      passed = Math.max(passed, revision)
    }
    const seen = batches.flatMap(({ events }) => events)
    const end = revisionOf(seen.at(-1) ?? '0')
    const all = eventsOf(history, batches[0]?.prefixes)
    const expected = all.filter(({ revision }) => revision <= end)
    for (const difference of differences(expected, seen)) violations.push(difference)
    const last = all.at(-1)?.revision ?? 0
    if (end < last) violations.push(`it ends at ${end}, and history at ${last}`)
    return violations.slice(0, 5).map((violation) => `${watch}: ${violation}`)
  })
}

/** The events of these ranges. No transaction of a run writes to several of them, so each revision has one order. */
function eventsOf(history: readonly HistoryEvent[], prefixes: readonly string[] | undefined): readonly HistoryEvent[] {
  if (prefixes === undefined) return history
  return history.filter(({ key }) => prefixes.some((prefix) => key.startsWith(prefix)))
}

function differences(expected: readonly HistoryEvent[], seen: readonly string[]): string[] {
  const at = expected.findIndex((event, index) => eventText(event) !== seen[index])
  if (at < 0 && expected.length === seen.length) return []
  const wanted = expected[at]
  return [`event ${at} of history is ${wanted && eventText(wanted)}, the watch has ${seen[at]}`]
}
