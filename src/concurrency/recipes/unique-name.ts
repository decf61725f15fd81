import { randomBytes, randomInt } from 'node:crypto'

const nanosPerMilli = 1_000_000

/**
 * The last part of an item's key: the time of day in nanoseconds, as Go's clientv3 writes it, of which the last six digits
 * are random. Nothing is ordered by it, and whoever creates such a key goes on to another one where it is taken.
 */
export function itemName(): string {
  return `${Date.now()}${String(randomInt(nanosPerMilli)).padStart(6, '0')}`
}

/** The last part of a key that stands for its holder: nobody else has it, and nobody can guess it. */
export function ownName(): string {
  return `${itemName()}-${randomBytes(16).toString('hex')}`
}
