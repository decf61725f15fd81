/** Prints a line of JSON for each test that fails, without the suites around it. */
// biome-ignore lint/style/noDefaultExport: the test runner takes the default export
export default async function* failures(events) {
  for await (const { type, data } of events) {
    const isSuite = data?.details?.type === 'suite' || data?.details?.error?.failureType === 'subtestsFailed'
    if (type !== 'test:fail' || isSuite) continue
    const { error } = data.details
    yield `${JSON.stringify({ file: data.file, title: data.name, reason: String(error.cause?.message ?? error.message) })}\n`
  }
}
