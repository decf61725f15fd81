import { digestOf } from '../view-digest.js'
import type { Evidence } from './checkers.js'
import { of } from './of.js'

/** The content of an informer at a revision is the state of history at that revision. */
export function viewViolations({ history, records }: Evidence): string[] {
  const views = of(records, 'view').sort((a, b) => a.revision - b.revision)
  const keys = new Map<string, number>()
  const violations: string[] = []
  let at = 0
  let digest: string | undefined
  for (const view of views) {
    for (let event = history[at]; event !== undefined && event.revision <= view.revision; event = history[++at]) {
      if (!event.key.startsWith('reg/')) continue
      if (event.type === 'delete') keys.delete(event.key)
      else keys.set(event.key, event.revision)
      digest = undefined
    }
    digest ??= digestOf([...keys])
    if (view.digest !== digest) violations.push(`${view.informer} differs from history at revision ${view.revision}`)
  }
  return violations
}
