/** Nobody reads the output any more. Ends quietly, with status 0. */
export class ReaderGone extends Error {
  override readonly name = 'ReaderGone'
  override readonly message = 'nobody reads the output any more'
}

/** Whether writing failed for there is no reader. */
export function isBrokenPipe(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'EPIPE'
}
