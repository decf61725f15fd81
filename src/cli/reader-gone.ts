/** The reader of standard output has closed it. The exit status is 0, without a message. */
export class ReaderGone extends Error {
  override readonly name = 'ReaderGone'
  override readonly message = 'standard output was closed'
}

/** The error of a command whose write to standard output failed: of a pipe without a reader, or of a full disk. */
export function outputError(error: unknown): Error {
  if (!(error instanceof Error)) return new ReaderGone()
  if ('code' in error && error.code === 'EPIPE') return new ReaderGone()
  return new Error(`standard output cannot be written: ${error.message}`, { cause: error })
}
