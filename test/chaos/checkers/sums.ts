import { accountNames, startBalance } from '../workloads/accounts.js'
import type { Evidence } from './checkers.js'
import { groupBy } from './of.js'

/** At every revision the accounts hold as much as at the beginning. */
export function sumViolations({ history }: Evidence): string[] {
  const balances = new Map(accountNames.map((name) => [name, startBalance]))
  const changes = groupBy(
    history.filter(({ key }) => balances.has(key)),
    ({ revision }) => revision,
  )
  return [...changes].flatMap(([revision, events]) => {
    for (const { key, value } of events) balances.set(key, Number(value))
    const sum = [...balances.values()].reduce((a, b) => a + b, 0)
    return sum === accountNames.length * startBalance ? [] : [`the sum is ${sum} at revision ${revision}`]
  })
}
