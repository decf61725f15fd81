import { randomInt } from 'node:crypto'

const nanosPerMilli = 1_000_000

/**
 * The last part of a key that nobody else has: the time of day in nanoseconds, as Go's clientv3 writes it, of which the
 * last six digits are random. Nothing is ordered by it.
 */
export function uniqueName(): string {
  return `${Date.now()}${String(randomInt(nanosPerMilli)).padStart(6, '0')}`
}
