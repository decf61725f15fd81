import { isNativeError } from 'node:util/types'

/**
 * Whether a caught value is an error. Test runners such as Jest give modules another `Error` than Node's own modules have, so
 * `instanceof` alone does not recognize the errors of a socket or a file.
 */
export function isError(value: unknown): value is Error {
  return value instanceof Error || isNativeError(value)
}

/** The text of a caught value. */
export function messageOf(thrown: unknown): string {
  return isError(thrown) ? thrown.message : String(thrown)
}

/** Whether a caught value is an error of Node with this code, such as `ENOENT`. */
export function hasErrorCode(thrown: unknown, code: string): boolean {
  return isError(thrown) && 'code' in thrown && thrown.code === code
}
