import { checkLockName, type LockOptions } from '../lock/lock-options.js'
import { acquire, grantRequest } from './acquire.js'
import type { Grant } from './grant.js'
import type { Line } from './place.js'
import type { RecipeHost } from './recipe-host.js'

type Kind = 'read' | 'write'

/**
 * A lock that many readers or one writer may hold, in the order in which they come: a reader waits for the writers before
 * it, a writer for all before it, so that none of them starves. Keys are those of the RWMutex of Go's clientv3:
 * `<name>/read/<unique>` and `<name>/write/<unique>`. Not re-entrant: who holds it for reading and wants it for writing waits
 * for himself.
 */
export class RwLock {
  readonly name: string
  readonly #host: RecipeHost

  /** Made by `rwLock()`. */
  constructor(name: string, host: RecipeHost) {
    this.name = checkLockName(name)
    this.#host = host
  }

  /** Waits until no writer that came before is left. Rejects with a `LockTimeoutError`; then nothing stays behind. */
  async read(options: LockOptions = {}): Promise<Grant> {
    return acquire(this.#host, this.#line('read'), grantRequest('read()', this.name, options, true))
  }

  /** Waits until nobody that came before is left. Rejects with a `LockTimeoutError`; then nothing stays behind. */
  async write(options: LockOptions = {}): Promise<Grant> {
    return acquire(this.#host, this.#line('write'), grantRequest('write()', this.name, options, true))
  }

  /** Takes it for reading if no writer has it or waits, or else rejects with a `LockUnavailableError`. */
  async tryRead(options: LockOptions = {}): Promise<Grant> {
    return acquire(this.#host, this.#line('read'), grantRequest('tryRead()', this.name, options, false))
  }

  /** Takes it for writing if nobody has it or waits, or else rejects with a `LockUnavailableError`. */
  async tryWrite(options: LockOptions = {}): Promise<Grant> {
    return acquire(this.#host, this.#line('write'), grantRequest('tryWrite()', this.name, options, false))
  }

  #line(kind: Kind): Line {
    const all = `${this.name}/`
    const [readers, writers] = [`${all}read/`, `${all}write/`]
    if (kind === 'read') return { kind, all, own: readers, ahead: [writers], mayBeAhead: 0 }
    return { kind, all, own: writers, ahead: [readers, writers], mayBeAhead: 0 }
  }
}
