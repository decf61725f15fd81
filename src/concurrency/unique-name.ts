import { randomBytes, randomInt } from 'node:crypto'

const nanosPerMilli = 1_000_000

/**
 * The last part of an item's key: the time of day in nanoseconds, as Go's clientv3 writes it, with six random digits at the
 * end. It orders nothing; the creator of the key tries another name if the key exists.
 */
export function itemName(): string {
  return `${Date.now()}${String(randomInt(nanosPerMilli)).padStart(6, '0')}`
}

/** The last part of a queue key that is not named by its lease: unique, and impossible to guess. */
export function uniqueName(): string {
  return `${itemName()}-${randomBytes(16).toString('hex')}`
}
