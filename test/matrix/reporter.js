/**
 * A reporter of node:test that writes one line of JSON for each test, with the names of its suites: its outcome, and the
 * reason of a skip or the error of a failure.
 */
// biome-ignore lint/style/noDefaultExport: node:test takes a reporter that is the default export
export default async function* report(events) {
  const names = []
  for await (const { type, data } of events) {
    if (type === 'test:start') {
      names.length = data.nesting
      names.push(data.name)
    } else if (type === 'test:pass' || type === 'test:fail') {
      const record = recordOf(type, data)
      if (record !== undefined) yield `${JSON.stringify({ path: pathOf(names, data), ...record })}\n`
    }
  }
}

function pathOf(names, { nesting, name }) {
  return [...names.slice(0, nesting), name]
}

/** Suites count where they have no tests that do: skipped ones, and those whose hooks failed. */
function recordOf(type, { details, skip, todo }) {
  const isSuite = details.type === 'suite'
  if (skip !== undefined || todo !== undefined) return { outcome: 'skipped', reason: String(skip ?? todo) }
  if (type === 'test:pass') return isSuite ? undefined : { outcome: 'passed' }
  if (details.error?.failureType === 'subtestsFailed') return undefined
  const { cause } = details.error ?? {}
  return { outcome: 'failed', reason: String(cause?.stack ?? cause ?? details.error) }
}
