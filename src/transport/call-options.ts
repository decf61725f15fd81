import { assertKnownOptions, durationMs, optionalSignal } from '../core/validate.js'
import type { CallOptions } from './transport.js'

/** The names of the options that every call takes. */
export const callOptionNames = ['signal', 'timeoutMs'] as const

/** Checks what every call takes, and that there is nothing else than `names`. */
export function checkCall(
  owner: string,
  options: CallOptions | undefined,
  names: readonly string[] = callOptionNames,
): void {
  if (options === undefined) return
  assertKnownOptions(owner, options, names)
  if (options.timeoutMs !== undefined) durationMs('timeoutMs', options.timeoutMs)
  if (options.signal !== undefined) optionalSignal('signal', options.signal)
}
