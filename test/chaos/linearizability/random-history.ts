import { emptyStore, type ModelState, step } from './etcd-model.js'
import type { RecordedCall, RecordedCompare, RecordedOutput, RecordedStep, StepResult } from './history.js'

type Random = () => number

interface Shape {
  readonly clients: number
  readonly calls: number
  readonly keys: number
  /** Of all calls, those without an answer. */
  readonly unknown: number
}

/**
 * A history that a store could have given: calls of several clients take effect at one moment between begin and end. Calls
 * without an answer have taken effect, or not.
 */
export function randomHistory(random: Random, { clients, calls, keys, unknown }: Shape): RecordedCall[] {
  const freeAt = Array.from({ length: clients }, () => random() * 10)
  const planned = Array.from({ length: calls }, (_, index) => {
    const client = Math.floor(random() * clients)
    const calledAt = (freeAt[client] ?? 0) + random() * 5
    const effectAt = calledAt + random() * 20
    const returnedAt = effectAt + random() * 20
    freeAt[client] = returnedAt
    return { client, calledAt, effectAt, returnedAt, index, isUnknown: random() < unknown }
  })
  let state: ModelState = { ...emptyStore, revision: 1 }
  const recorded: RecordedCall[] = []
  for (const { client, calledAt, returnedAt, index, isUnknown } of planned.sort((a, b) => a.effectAt - b.effectAt)) {
    const bare = randomCall(random, (key) => lastRead(recorded, key, calledAt), keys, `v${index}`)
    const call: RecordedCall = { client, calledAt, returnedAt: isUnknown ? null : returnedAt, output: null, ...bare }
    const applied = execute(state, call, random() < 0.3 ? 1 : 0)
    if (!isUnknown || random() < 0.5) state = applied.state
    recorded.push(isUnknown ? call : { ...call, output: applied.output })
  }
  return recorded
}

/** The revision of a key that an answer has shown before a time; a condition on it is what a careful client sends. */
function lastRead(recorded: readonly RecordedCall[], key: string, at: number): number {
  for (const { output, returnedAt, success, failure } of recorded.toReversed()) {
    if (output === null || returnedAt === null || returnedAt > at) continue
    const index = (output.succeeded ? success : failure).findIndex((each) => each.type === 'get' && each.key === key)
    const kv = output.results[index]?.kv
    if (kv !== undefined && kv !== null) return kv.modRevision
  }
  return 0
}

function randomCall(
  random: Random,
  modRevisionOf: (key: string) => number,
  keys: number,
  value: string,
): Pick<RecordedCall, 'compares' | 'success' | 'failure'> {
  const key = (): string => `k${Math.floor(random() * keys)}`
  const [one, kind] = [key(), random()]
  const read = (...names: string[]): RecordedStep[] => [...new Set(names)].map((name) => ({ type: 'get', key: name }))
  if (kind < 0.3) return { compares: [], success: read(one), failure: [] }
  if (kind < 0.55) return { compares: [], success: [{ type: 'put', key: one, value }], failure: [] }
  if (kind < 0.65) return { compares: [], success: [{ type: 'delete', key: one }], failure: [] }
  const compare: RecordedCompare =
    random() < 0.5
      ? { key: one, target: 'modRevision', result: '=', operand: modRevisionOf(one) }
      : { key: one, target: 'version', result: random() < 0.5 ? '=' : '>', operand: Math.floor(random() * 3) }
  const puts: RecordedStep[] = [...new Set([one, key()])].map((name) => ({ type: 'put', key: name, value }))
  return { compares: [compare], success: puts, failure: read(one, key()) }
}

/** What the store does: as the model, with each answer known. `gap`: revisions that other keys took meanwhile. */
function execute(
  state: ModelState,
  call: RecordedCall,
  gap: number,
): { readonly state: ModelState; readonly output: RecordedOutput } {
  for (const succeeded of [true, false]) {
    for (const writes of [true, false]) {
      const steps = succeeded ? call.success : call.failure
      const revision = state.revision + gap + (writes ? 1 : 0)
      const present = new Map(state.keys)
      const results = steps.map((each): StepResult => {
        const found = present.get(each.key)
        if (each.type === 'delete') return { deleted: found === undefined ? 0 : 1 }
        if (each.type === 'put') return {}
        if (found === undefined) return { kv: null }
        const { value, createRevision, modRevision, version } = found
        return { kv: { value, createRevision, modRevision, version } }
      })
      const output: RecordedOutput = { revision, succeeded, results }
      const after = step({ ...state, revision: state.revision + gap }, { ...call, output })
      const isWrite = after !== undefined && steps.some((each, index) => writesKey(each, results[index]))
      if (after !== undefined && isWrite === writes) return { state: after, output }
    }
  }
  throw new Error('no answer fits')
}

function writesKey(each: RecordedStep, result: StepResult | undefined): boolean {
  return each.type === 'put' || (each.type === 'delete' && result?.deleted === 1)
}

/** The same history with one answer that is perhaps wrong: another revision, another verdict, another value, another time. */
export function doctored(random: Random, history: readonly RecordedCall[]): RecordedCall[] {
  const copy = [...history]
  const at = Math.floor(random() * copy.length)
  const call = copy[at]
  if (call === undefined || call.output === null) return copy
  const { output } = call
  const kind = random()
  if (kind < 0.25) copy[at] = { ...call, output: { ...output, revision: output.revision + (random() < 0.5 ? 1 : -1) } }
  else if (kind < 0.5) copy[at] = { ...call, output: { ...output, succeeded: !output.succeeded } }
  else if (kind < 0.8)
    copy[at] = { ...call, output: { ...output, results: output.results.map((each) => older(random, each)) } }
  else copy[at] = { ...call, calledAt: call.calledAt + 60, returnedAt: (call.returnedAt ?? 0) + 60 }
  return copy
}

function older(random: Random, result: StepResult): StepResult {
  if (result.deleted !== undefined) return { deleted: 1 - result.deleted }
  if (result.kv === undefined || result.kv === null) return result
  return random() < 0.5 ? { kv: null } : { kv: { ...result.kv, version: result.kv.version + 1 } }
}
