import { digestOf } from '../view-digest.js'
import type { Evidence } from './checkers.js'
import { of } from './of.js'

/** What an informer, a read or a listing shows at a revision is the state of history at that revision. */
export function viewViolations({ history, records }: Evidence): string[] {
  const views = of(records, 'view').sort((a, b) => a.revision - b.revision)
  const states = new Map(views.map(({ prefix }) => [prefix, new PrefixState(prefix)]))
  const violations: string[] = []
  let at = 0
  for (const { viewer, prefix, revision, digest } of views) {
    for (let event = history[at]; event !== undefined && event.revision <= revision; event = history[++at]) {
      for (const state of states.values()) state.apply(event)
    }
    if (digest !== states.get(prefix)?.digest) {
      violations.push(`${viewer} shows other keys under ${prefix} at revision ${revision} than history has`)
    }
  }
  return violations
}

/** The keys under a prefix, as history goes on. */
class PrefixState {
  readonly #prefix: string
  readonly #keys = new Map<string, number>()
  #digest: string | undefined

  constructor(prefix: string) {
    this.#prefix = prefix
  }

  get digest(): string {
    this.#digest ??= digestOf([...this.#keys])
    return this.#digest
  }

  apply({ type, key, revision }: Evidence['history'][number]): void {
    if (!key.startsWith(this.#prefix)) return
    if (type === 'delete') this.#keys.delete(key)
    else this.#keys.set(key, revision)
    this.#digest = undefined
  }
}
