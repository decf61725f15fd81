import type { RecordedCall, RecordedCompare, RecordedStep, SeenKey, StepResult } from './history.js'

/**
 * A key as the model knows it. A revision of 0 is unknown, because the call that wrote it has no answer; it is above
 * `after`, and becomes known when a read shows it.
 */
interface ModelKey {
  readonly value: string
  readonly createRevision: number
  readonly modRevision: number
  readonly version: number
  readonly after: number
}

/** The keys of one history, and a revision that the store has reached. Other histories raise the store's revision, too. */
export interface ModelState {
  readonly revision: number
  readonly keys: ReadonlyMap<string, ModelKey>
}

export const emptyStore: ModelState = { revision: 0, keys: new Map() }

/** The state after a call, or `undefined` where the store could not have answered so. */
export function step(state: ModelState, call: RecordedCall): ModelState | undefined {
  const { output } = call
  const keys = new Map(state.keys)
  const succeeded = call.compares.every((compare) => holds(state, compare, output?.succeeded, keys))
  if (output !== null && succeeded !== output.succeeded) return undefined
  const steps = succeeded ? call.success : call.failure
  const revision = output?.revision ?? 0
  let writes = false
  for (const [index, each] of steps.entries()) {
    const result = output?.results[index]
    if (result === undefined && output !== null) return undefined
    const outcome = apply(keys, each, { revision, after: state.revision, result })
    if (outcome === 'impossible') return undefined
    writes ||= outcome === 'written'
  }
  if (output === null) return { revision: state.revision + (writes ? 1 : 0), keys }
  if (writes ? revision <= state.revision : revision < state.revision) return undefined
  return { revision, keys }
}

interface StepContext {
  readonly revision: number
  readonly after: number
  readonly result: StepResult | undefined
}

function apply(
  keys: Map<string, ModelKey>,
  each: RecordedStep,
  { revision, after, result }: StepContext,
): 'read' | 'written' | 'impossible' {
  const old = keys.get(each.key)
  switch (each.type) {
    case 'put':
      keys.set(each.key, {
        value: each.value,
        createRevision: old === undefined ? revision : old.createRevision,
        modRevision: revision,
        version: (old?.version ?? 0) + 1,
        after,
      })
      return 'written'
    case 'delete':
      if (result?.deleted !== undefined && result.deleted !== (old === undefined ? 0 : 1)) return 'impossible'
      return keys.delete(each.key) ? 'written' : 'read'
    case 'get':
      return result === undefined || matches(keys, each.key, result.kv ?? null) ? 'read' : 'impossible'
  }
}

/** Whether a read may show this; revisions that it shows are known from then on. */
function matches(keys: Map<string, ModelKey>, key: string, seen: SeenKey | null): boolean {
  const old = keys.get(key)
  if (old === undefined || seen === null) return old === undefined && seen === null
  const fits =
    old.value === seen.value &&
    old.version === seen.version &&
    (old.modRevision === 0 ? seen.modRevision > old.after : old.modRevision === seen.modRevision) &&
    (old.createRevision === 0 || old.createRevision === seen.createRevision) &&
    (seen.version > 1 ? seen.createRevision < seen.modRevision : seen.createRevision === seen.modRevision)
  if (fits) keys.set(key, { ...old, modRevision: seen.modRevision, createRevision: seen.createRevision })
  return fits
}

/**
 * Whether a condition holds. A revision that nobody has read equals none that a client knows; where the answer proves that
 * it does equal the operand, it is known from then on.
 */
function holds(
  state: ModelState,
  { key, target, result, operand }: RecordedCompare,
  succeeded: boolean | undefined,
  keys: Map<string, ModelKey>,
): boolean {
  const found = state.keys.get(key)
  if (target === 'value') return found !== undefined && compared(found.value, operand as string, result)
  const actual = found?.[target] ?? 0
  if (found !== undefined && actual === 0 && target === 'modRevision' && result === '=' && succeeded === true) {
    if (Number(operand) <= found.after) return false
    keys.set(key, { ...found, modRevision: Number(operand) })
    return true
  }
  if (found !== undefined && actual === 0) return compared(Number.POSITIVE_INFINITY, operand as number, result)
  return compared(actual, operand as number, result)
}

function compared<T extends number | string>(actual: T, operand: T, result: RecordedCompare['result']): boolean {
  switch (result) {
    case '=':
      return actual === operand
    case '!=':
      return actual !== operand
    case '<':
      return actual < operand
    case '>':
      return actual > operand
  }
}

/** States with the same text are the same. */
export function stateText({ revision, keys }: ModelState): string {
  const parts = [...keys].map(([key, { value, createRevision, modRevision, version, after }]) =>
    JSON.stringify([key, value, createRevision, modRevision, version, modRevision === 0 ? after : 0]),
  )
  return `${revision} ${parts.sort().join()}`
}
