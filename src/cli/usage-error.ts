/** The command line is invalid. The exit status is 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}
