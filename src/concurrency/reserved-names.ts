import { InvalidArgumentError } from '../core/errors.js'

/** The key that stores the number of permits of a semaphore. */
export function permitsKey(name: string): string {
  return `${name}~semaphore/~permits`
}

/** The key that records the opening of a double barrier. */
export function openedKey(name: string): string {
  return `${name}/~ready`
}

/** The key that producers write to number the items of one priority of a priority queue. */
export function counterKey(name: string, priority: string): string {
  return `__${name}/${priority}`
}

const reserved = /(^|\/)~(permits|ready)$|^__.*\/\d{5}$/s

/** The key of a barrier is its name, which must therefore not be one of the keys above. All other keys are known by their form. */
export function checkBarrierName(namespace: Buffer, name: string): string {
  if (!reserved.test(name) && !reserved.test(`${namespace.toString('latin1')}${name}`)) return name
  throw new InvalidArgumentError(
    `\`name\` of a barrier must not be ${JSON.stringify(name)}: semaphores, double barriers and priority queues have such keys`,
  )
}
