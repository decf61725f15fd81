import { UsageError } from './usage-error.js'

/** What Node has put in place of bytes that are not UTF-8. */
const replacement = '\u{fffd}'

/** Rejects text that was decoded from other bytes, which would name another key. `remedy` says how bytes are written instead. */
export function checkUtf8(name: string, text: string, remedy: string): void {
  if (text.includes(replacement)) throw new UsageError(`${name} ${JSON.stringify(text)} is not UTF-8: ${remedy}`)
}
