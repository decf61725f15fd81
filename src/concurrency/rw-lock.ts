import { acquire } from './acquire.js'
import type { ConcurrencyHost } from './concurrency-host.js'
import { isOfForm, numbered } from './key-form.js'
import type { LockHandle } from './lock-handle.js'
import { checkLockName, type LockOptions, resolveLockOptions } from './lock-options.js'
import type { QueueSpec } from './queue-entry.js'
import { uniqueName } from './unique-name.js'

type Kind = 'read' | 'write'

/**
 * A lock that many readers, or one writer, may hold. It is granted in the order of the requests: a reader waits for the writers
 * before it, a writer for everybody before it, so neither starves. It is not re-entrant: a reader that asks for the write lock
 * waits for itself.
 *
 * It uses the keys of the RWMutex of Go's clientv3: `<name>/read/<unique>` and `<name>/write/<unique>`.
 *
 * @example
 * const catalogue = etcd.rwLock('locks/catalogue')
 * await using reader = await catalogue.read({ timeoutMs: 5000 })
 */
export class RwLock {
  /** The name of the lock, in the caller's namespace. */
  readonly name: string
  readonly #host: ConcurrencyHost

  /** Created by `rwLock()`. */
  constructor(name: string, host: ConcurrencyHost) {
    this.name = checkLockName(name)
    this.#host = host
  }

  /**
   * Waits until all writers that came before have released the lock.
   *
   * @throws `LockTimeoutError` after `timeoutMs`. Nothing of the attempt is left behind.
   */
  async read(options: LockOptions = {}): Promise<LockHandle> {
    return this.#acquire('read()', 'read', options, true)
  }

  /**
   * Waits until everybody that came before has released the lock.
   *
   * @throws `LockTimeoutError` after `timeoutMs`. Nothing of the attempt is left behind.
   */
  async write(options: LockOptions = {}): Promise<LockHandle> {
    return this.#acquire('write()', 'write', options, true)
  }

  /**
   * Takes the read lock if no writer holds the lock or waits for it.
   *
   * @throws `LockUnavailableError`, which names the holder, if one does.
   */
  async tryRead(options: LockOptions = {}): Promise<LockHandle> {
    return this.#acquire('tryRead()', 'read', options, false)
  }

  /**
   * Takes the write lock if nobody holds the lock or waits for it.
   *
   * @throws `LockUnavailableError`, which names the holder, if somebody does.
   */
  async tryWrite(options: LockOptions = {}): Promise<LockHandle> {
    return this.#acquire('tryWrite()', 'write', options, false)
  }

  async #acquire(caller: string, kind: Kind, options: LockOptions, waits: boolean): Promise<LockHandle> {
    const resolved = resolveLockOptions(caller, options, waits)
    return acquire(this.#host, this.#queue(kind), { name: this.name, ...resolved, kind, waits, sharesKey: false })
  }

  #queue(kind: Kind): QueueSpec {
    const folders = { read: `${this.name}/read/`, write: `${this.name}/write/` }
    const ahead = kind === 'read' ? [folders.write] : [folders.read, folders.write]
    return {
      name: Buffer.from(this.name),
      watched: { prefix: `${this.name}/` },
      ahead: ahead.map(numbered),
      maxAhead: 0,
      entryKey: () => Buffer.from(`${folders[kind]}${uniqueName()}`),
      isEntry: (kv) => ahead.some((folder) => isOfForm('entry', folder, kv)),
    }
  }
}
