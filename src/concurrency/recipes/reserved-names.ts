import { InvalidArgumentError } from '../../core/errors.js'

/** Where a semaphore's number of permits is kept. */
export function permitsKey(name: string): string {
  return `${name}~semaphore/~permits`
}

/** What shows that a double barrier was opened. */
export function openedKey(name: string): string {
  return `${name}/~ready`
}

/** The key that the producers of one priority of a priority queue number their items by. */
export function counterKey(name: string, priority: string): string {
  return `__${name}/${priority}`
}

const reserved = /(^|\/)~(permits|ready)$|^__.*\/\d{5}$/s

/**
 * The key of a barrier is its name, so that it may have none that is another recipe's key. All other recipes tell their keys
 * from those of others by their form.
 */
export function checkBarrierName(namespace: Buffer, name: string): string {
  if (!reserved.test(name) && !reserved.test(`${namespace.toString('latin1')}${name}`)) return name
  throw new InvalidArgumentError(
    `\`name\` of a barrier must not be ${JSON.stringify(name)}: semaphores, double barriers and priority queues have such keys`,
  )
}
