import { checkLinearizable } from '../linearizability/checker.js'
import { porcupineVerdicts } from '../linearizability/porcupine.js'
import type { Evidence } from './checkers.js'
import { groupBy, of } from './of.js'

/** The calls on each group of registers are linearizable, by two checkers that have nothing in common but the model. */
export function linearizabilityViolations({ records }: Evidence): string[] {
  const groups = [...groupBy(of(records, 'call'), ({ group }) => group)].map(([group, calls]) => ({
    group,
    history: calls.map(({ call }) => call),
  }))
  const verdicts = porcupineVerdicts(groups.map(({ history }) => history))
  return groups.flatMap(({ group, history }, index) => {
    const verdict = checkLinearizable(history)
    const theirs = verdicts?.[index] ?? 'Ok'
    return [
      ...(verdict.kind === 'linearizable' ? [] : [`group ${group} is ${verdict.kind}: ${JSON.stringify(verdict)}`]),
      ...(theirs === 'Ok' ? [] : [`group ${group} is ${theirs} by Porcupine`]),
    ]
  })
}
