import { of } from './checkers/of.js'
import { type ChaosRecord, now, type OperationCount } from './records.js'

/** A fault, and when it began and ended. */
export interface FaultTime {
  readonly name: string
  readonly from: number
  to?: number
  /** Why it was refused. */
  error?: string
}

/** Which faults happened, how often, and how often the cluster refused them. */
export class FaultLog {
  readonly times: FaultTime[] = []
  readonly #began = new Map<string, number>()
  readonly #refused = new Map<string, number>()

  began(name: string): void {
    this.#began.set(name, (this.#began.get(name) ?? 0) + 1)
    this.times.push({ name, from: now() })
  }

  ended(): void {
    const last = this.times.at(-1)
    if (last !== undefined) last.to = now()
  }

  refused(name: string, error: unknown): void {
    const last = this.times.at(-1)
    if (last !== undefined) last.error = String(error)
    this.#refused.set(name, (this.#refused.get(name) ?? 0) + 1)
  }

  get text(): string {
    const parts = [...this.#began].map(([name, count]) => {
      const refused = this.#refused.get(name)
      return `${name} ${count}${refused === undefined ? '' : ` (refused ${refused})`}`
    })
    return `faults: ${parts.join(', ')}`
  }
}

/** A line for each kind of operation: how many succeeded, had no effect, have an unknown effect, with the errors' codes. */
export function operationLines(records: readonly ChaosRecord[]): string[] {
  const workloads = new Map<string, Map<string, OperationCount>>()
  for (const each of of(records, 'done').flatMap(({ operations }) => operations)) {
    const counts = workloads.get(each.workload) ?? new Map<string, OperationCount>()
    const id = `${each.outcome} ${each.code}`
    counts.set(id, { ...each, count: each.count + (counts.get(id)?.count ?? 0) })
    workloads.set(each.workload, counts)
  }
  const names = [...workloads.keys()].sort()
  const width = Math.max(0, ...names.map(({ length }) => length))
  return names.map((name) => `  ${name.padEnd(width)} ${outcomes([...(workloads.get(name)?.values() ?? [])])}`)
}

function outcomes(counts: readonly OperationCount[]): string {
  return (['ok', 'none', 'unknown'] as const)
    .map((outcome) => {
      const those = counts.filter((each) => each.outcome === outcome)
      const sum = those.reduce((total, { count }) => total + count, 0)
      const codes = those.map(({ code, count }) => `${code} ${count}`).join(', ')
      return outcome === 'ok' || sum === 0 ? `${outcome} ${sum}` : `${outcome} ${sum} (${codes})`
    })
    .join(', ')
}
