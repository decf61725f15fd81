import type { HistoryEvent } from '../recorder.js'
import type { SeenChange } from '../records.js'
import type { Evidence } from './checkers.js'
import { groupBy, of } from './of.js'

/**
 * The handler of an informer receives each change once and in order. After a listing it receives the differences instead, which
 * lead to the same keys as in history.
 */
export function changeViolations({ history, records }: Evidence): string[] {
  const registers = history.filter(({ key }) => key.startsWith('reg/'))
  const informers = groupBy(of(records, 'change'), ({ informer }) => informer)
  return [...informers].flatMap(([informer, changes]) => {
    const violation = new Replica(registers).follow(changes)
    return violation === undefined ? [] : [`${informer}: ${violation}`]
  })
}

/** The keys that a handler knows, beside those that history has at the same place. */
class Replica {
  readonly #history: readonly HistoryEvent[]
  readonly #known = new Map<string, number>()
  readonly #actual = new Map<string, number>()
  #at = 0

  constructor(history: readonly HistoryEvent[]) {
    this.#history = history
  }

  /** Returns the first thing that is wrong. */
  follow(changes: readonly SeenChange[]): string | undefined {
    let isListed = true
    for (const change of changes) {
      if (change.source === 'watch') {
        const violation = this.#advance(change, isListed)
        if (violation !== undefined) return violation
      }
      isListed = change.source !== 'watch'
      if (change.type === 'delete') this.#known.delete(change.key)
      else this.#known.set(change.key, change.revision)
    }
    return undefined
  }

  /** Goes on in history to the event of a change. Without a listing in between, that is the next event. */
  #advance(change: SeenChange, isListed: boolean): string | undefined {
    const { type, key, revision } = change
    const start = this.#at
    const text = `${type} of ${key} at ${revision}`
    for (let event = this.#history[this.#at]; ; event = this.#history[this.#at]) {
      if (event === undefined || event.revision > revision)
        return `${text} is not in history after the change before it`
      if (event.revision === revision && event.key === key) break
      this.#apply(event)
      this.#at++
    }
    if (!isListed && this.#at > start) return `${this.#at - start} changes before ${text} are missing`
    if (isListed && !isSame(this.#known, this.#actual)) return `the keys before ${text} are not those of history`
    const event = this.#history[this.#at++]
    if (event === undefined || (event.type === 'delete') !== (type === 'delete')) return `${text} is a ${event?.type}`
    if (type !== 'delete' && (type === 'update') !== this.#actual.has(key)) return `${text} is not an ${type}`
    this.#apply(event)
    return undefined
  }

  #apply({ type, key, revision }: HistoryEvent): void {
    if (type === 'delete') this.#actual.delete(key)
    else this.#actual.set(key, revision)
  }
}

function isSame(a: ReadonlyMap<string, number>, b: ReadonlyMap<string, number>): boolean {
  return a.size === b.size && [...a].every(([key, revision]) => b.get(key) === revision)
}
