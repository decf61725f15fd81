import { checkLinearizable, type Verdict } from '../linearizability/checker.js'
import type { RecordedCall } from '../linearizability/history.js'
import { porcupineVerdicts } from '../linearizability/porcupine.js'
import type { HistoryEvent } from '../recorder.js'
import type { Evidence } from './checkers.js'
import { groupBy, of } from './of.js'

/** The calls on each group of registers are linearizable, by two checkers that have nothing in common but the model. */
export function linearizabilityViolations({ history, records }: Evidence): string[] {
  const revisions = new Map(history.map((event) => [valueId(event), event.revision]))
  const groups = [...groupBy(of(records, 'call'), ({ group }) => group)].map(([group, calls]) => ({
    group,
    calls: calls.flatMap(({ call }) => resolved(call, revisions) ?? []),
  }))
  const verdicts = porcupineVerdicts(groups.map(({ calls }) => calls))
  return groups.flatMap(({ group, calls }, index) => {
    const verdict = checkLinearizable(calls)
    const theirs = verdicts?.[index] ?? 'Ok'
    return [
      ...(verdict.kind === 'linearizable' ? [] : [`group ${group} ${verdictText(verdict, calls.length)}`]),
      ...(theirs === 'Ok' ? [] : [`group ${group} is ${theirs} by Porcupine`]),
    ]
  })
}

function verdictText(verdict: Exclude<Verdict, { kind: 'linearizable' }>, count: number): string {
  if (verdict.kind === 'undecided')
    return `is too large to decide: ${verdict.placed} of ${count} calls could be ordered`
  return `is not linearizable: ${verdict.placed} of ${count} calls can be ordered, and then ${callText(verdict.blocked)}`
}

function callText({ client, calledAt, returnedAt, compares, success, failure, output }: RecordedCall): string {
  const time = `from ${calledAt.toFixed(1)} to ${returnedAt?.toFixed(1) ?? 'an unknown time'}`
  const condition = compares.map(({ key, target, result, operand }) => `if ${target} of ${key} ${result} ${operand} `)
  const steps = (output?.succeeded === false ? failure : success).map((each) => JSON.stringify(each)).join(', ')
  const answer = output === null ? 'no response' : `${JSON.stringify(output.results)} at revision ${output.revision}`
  return `the call of client ${client} ${time} does not fit: ${condition.join('')}${steps} had ${answer}`
}

/**
 * A write of unknown outcome whose value history has was applied at that revision, at any time after its begin; one whose
 * value it has not was never applied, and is left out. Deletions write no value: their outcome stays open.
 */
function resolved(call: RecordedCall, revisions: ReadonlyMap<string, number>): RecordedCall | undefined {
  const put = call.success.find((step) => step.type === 'put')
  if (call.output !== null || put === undefined) return call
  const revision = revisions.get(valueId(put))
  if (revision === undefined) return undefined
  return { ...call, output: { revision, succeeded: true, results: call.success.map(() => ({})) } }
}

/** Values are written once to a key. */
function valueId({ key, value }: Pick<HistoryEvent, 'key' | 'value'>): string {
  return `${key} ${value}`
}
