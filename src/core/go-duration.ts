import { InvalidArgumentError } from './errors.js'
import { describe } from './validate.js'

/** Go's units of time in milliseconds. */
const unitMs: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
}

/** Parses a Go duration, such as `5s` or `1m30s`, to milliseconds. */
export function goDurationMs(name: string, text: string): number {
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)/g)]
  if (parts.map(([part]) => part).join('') !== text || parts.length === 0) {
    throw new InvalidArgumentError(`${name} must be a duration such as 5s or 1m30s, got ${describe(text)}`)
  }
  return parts.reduce((sum, [, amount, unit]) => sum + Number(amount) * (unitMs[unit ?? ''] ?? 0), 0)
}
