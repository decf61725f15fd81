import { isNativeError } from 'node:util/types'

/**
 * Whether a caught value is an error. Test runners such as Jest give modules another `Error` than Node's own modules have, so
 * `instanceof` alone does not recognize the errors of a file or a socket.
 */
function isError(value: unknown): value is Error {
  return value instanceof Error || isNativeError(value)
}

/** The text of a caught value. */
export function messageOf(thrown: unknown): string {
  return isError(thrown) ? thrown.message : String(thrown)
}

/** The cause of an error, or `undefined`. */
export function causeOf(thrown: unknown): unknown {
  return isError(thrown) ? thrown.cause : undefined
}

/** Whether a caught value is a file system error with this code. */
export function isFileError(thrown: unknown, code: string): boolean {
  return isError(thrown) && 'code' in thrown && thrown.code === code
}
