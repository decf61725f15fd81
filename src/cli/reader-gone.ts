/** The reader of standard output has closed it. The exit status is 0, without a message. */
export class ReaderGone extends Error {
  override readonly name = 'ReaderGone'
  override readonly message = 'standard output was closed'
}

/** Whether a write failed because the reader is gone. */
export function isBrokenPipe(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'EPIPE'
}
