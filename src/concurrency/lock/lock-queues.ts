import { LockQueue, type LockQueueHost } from './lock-queue.js'

/**
 * The queues of a client, one for each lock whose keys begin with the same bytes, by whichever namespace they are reached:
 * all holders of one client share a lease, and so the key that a lock has with it.
 */
export class LockQueues {
  readonly #host: LockQueueHost
  readonly #queues = new Map<string, LockQueue>()

  constructor(host: LockQueueHost) {
    this.#host = host
  }

  /** The queue of the lock with this name, in the namespace with this prefix. */
  of(namespace: Buffer, name: string): LockQueue {
    const prefix = Buffer.concat([namespace, Buffer.from(`${name}/`)])
    const id = prefix.toString('latin1')
    const queue = this.#queues.get(id) ?? new LockQueue(prefix, this.#host, () => this.#queues.delete(id))
    this.#queues.set(id, queue)
    return queue
  }
}
