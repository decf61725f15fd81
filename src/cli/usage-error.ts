/** The command line cannot be understood. Ends with status 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}
