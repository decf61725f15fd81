import { EtcdError } from '../../core/errors.js'
import { positiveInteger } from '../../core/validate.js'
import { key } from '../../kv/compare.js'
import { get, put } from '../../kv/operation.js'
import { checkLockName, type LockOptions } from '../lock/lock-options.js'
import { acquire, grantRequest } from './acquire.js'
import type { Grant } from './grant.js'
import type { Line } from './place.js'
import type { RecipeHost } from './recipe-host.js'
import { permitsKey } from './reserved-names.js'

/**
 * So many permits, which are given in the order in which callers come. Each is a key `<name>~semaphore/<unique>`; their
 * number is kept in `<name>~semaphore/~permits` by the first who uses the semaphore, and a second one with another number is
 * refused. None of them is below `<name>/`, where Go's clientv3 and etcdctl take every key for a holder of a lock.
 */
export class Semaphore {
  readonly name: string
  readonly permits: number
  readonly #host: RecipeHost

  /** Made by `semaphore()`. */
  constructor(name: string, permits: number, host: RecipeHost) {
    this.name = checkLockName(name)
    this.permits = positiveInteger('permits', permits)
    this.#host = host
  }

  /**
   * Waits for a permit. Rejects with a `LockTimeoutError`, and then nothing stays behind; with `PERMITS_MISMATCH` where the
   * semaphore has another number of permits.
   */
  async acquire(options: LockOptions = {}): Promise<Grant> {
    return this.#acquire('acquire()', options, true)
  }

  /** Takes a permit if there is one that nobody waits for, or else rejects with a `LockUnavailableError`. */
  async tryAcquire(options: LockOptions = {}): Promise<Grant> {
    return this.#acquire('tryAcquire()', options, false)
  }

  async #acquire(owner: string, options: LockOptions, waits: boolean): Promise<Grant> {
    const prepare = (signal: AbortSignal): Promise<void> => this.#agree(signal)
    const request = { ...grantRequest(owner, this.name, options, waits), prepare }
    const own = `${this.name}~semaphore/`
    const line: Line = { kind: 'semaphore', all: own, own, ahead: [own], mayBeAhead: this.permits - 1 }
    return acquire(this.#host, line, request)
  }

  /** There are as many permits as this user believes. */
  async #agree(signal: AbortSignal): Promise<void> {
    const { store } = this.#host
    const count = permitsKey(this.name)
    const mine = String(this.permits)
    const reading = await store.txn().then(get(count)).commit({ signal })
    let [stored] = reading.responses
    if (stored === undefined) {
      const absent = key(count).missing()
      const written = await store.txn().if(absent).then(put(count, mine)).else(get(count)).commit({ signal })
      if (written.succeeded) return
      stored = written.responses[0]
    }
    if (stored === undefined || stored.valueText === mine) return
    throw new EtcdError(
      `semaphore ${JSON.stringify(this.name)} has ${stored.valueText} permits, not ${mine}: see ${count}`,
      {
        code: 'PERMITS_MISMATCH',
        effect: 'none',
      },
    )
  }
}
