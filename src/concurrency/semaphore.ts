import { EtcdError } from '../core/errors.js'
import { positiveInteger } from '../core/validate.js'
import { key } from '../kv/compare.js'
import { get, put } from '../kv/operation.js'
import { acquire } from './acquire.js'
import type { ConcurrencyHost } from './concurrency-host.js'
import { isOfForm, numbered } from './key-form.js'
import type { LockHandle } from './lock-handle.js'
import { checkLockName, type LockOptions, resolveLockOptions } from './lock-options.js'
import type { QueueSpec } from './queue-entry.js'
import { permitsKey } from './reserved-names.js'
import { uniqueName } from './unique-name.js'

/**
 * A fixed number of permits, granted in the order of the requests. Each permit is a key `<name>~semaphore/<unique>`. The first user
 * of the semaphore stores the number of permits in `<name>~semaphore/~permits`; a user with another number is refused. No key
 * is below `<name>/`, where Go's clientv3 and etcdctl take every key for a holder of a lock.
 *
 * @example
 * const exports = etcd.semaphore('locks/exports', 3)
 * await using permit = await exports.acquire({ timeoutMs: 5000 })
 */
export class Semaphore {
  /** The name of the semaphore, in the caller's namespace. */
  readonly name: string
  /** How many permits there are. */
  readonly permits: number
  readonly #host: ConcurrencyHost
  readonly #queue: QueueSpec

  /** Created by `semaphore()`. */
  constructor(name: string, permits: number, host: ConcurrencyHost) {
    this.name = checkLockName(name)
    this.permits = positiveInteger('permits', permits)
    this.#host = host
    const folder = `${name}~semaphore/`
    this.#queue = {
      name: Buffer.from(name),
      watched: { prefix: folder },
      ahead: [numbered(folder)],
      maxAhead: permits - 1,
      entryKey: () => Buffer.from(`${folder}${uniqueName()}`),
      isEntry: (kv) => isOfForm('entry', folder, kv),
    }
  }

  /**
   * Waits for a permit.
   *
   * @throws `LockTimeoutError` after `timeoutMs`: nothing of the attempt is left behind. `PERMITS_MISMATCH` if the semaphore has
   * another number of permits.
   */
  async acquire(options: LockOptions = {}): Promise<LockHandle> {
    return this.#acquire('acquire()', options, true)
  }

  /**
   * Takes a permit if one is free and nobody waits for it.
   *
   * @throws `LockUnavailableError` if none is. `PERMITS_MISMATCH` if the semaphore has another number of permits.
   */
  async tryAcquire(options: LockOptions = {}): Promise<LockHandle> {
    return this.#acquire('tryAcquire()', options, false)
  }

  async #acquire(caller: string, options: LockOptions, waits: boolean): Promise<LockHandle> {
    const resolved = resolveLockOptions(caller, options, waits)
    const prepare = (signal: AbortSignal): Promise<void> => this.#agreeOnPermits(signal)
    const request = { name: this.name, ...resolved, kind: 'semaphore', waits, sharesKey: false, prepare } as const
    return acquire(this.#host, this.#queue, request)
  }

  /** Stores the number of permits, or compares it with the stored one. */
  async #agreeOnPermits(signal: AbortSignal): Promise<void> {
    const { store } = this.#host
    const keyText = permitsKey(this.name)
    const ours = String(this.permits)
    const reading = await store.txn().then(get(keyText)).commit({ signal })
    let [stored] = reading.responses
    if (stored === undefined) {
      const absent = key(keyText).missing()
      const written = await store.txn().if(absent).then(put(keyText, ours)).else(get(keyText)).commit({ signal })
      if (written.succeeded) return
      stored = written.responses[0]
    }
    if (stored === undefined || stored.valueText === ours) return
    throw new EtcdError(
      `semaphore ${JSON.stringify(this.name)} has ${stored.valueText} permits, not ${ours}: see ${keyText}`,
      {
        code: 'PERMITS_MISMATCH',
        effect: 'none',
      },
    )
  }
}
