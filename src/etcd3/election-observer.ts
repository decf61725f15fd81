import { EventEmitter } from 'node:events'
import type { ElectionKeys } from './election-keys.js'
import { ClientClosedError } from './errors.js'
import type { IKeyValue } from './rpc/kv-messages.js'
import { nextRevision, untilEvent } from './until.js'
import { checkEncoding } from './validate.js'

/** What the events of an observer come with. */
interface ObserverEventMap {
  change: [value: string | undefined]
  disconnected: [value: Error]
  error: [value: Error]
}

type Listener = Parameters<EventEmitter['on']>[1]

/** Follows who leads an election. */
export class ElectionObserver extends EventEmitter {
  readonly #namespace: ElectionKeys
  readonly #running: Promise<void>
  #leader: IKeyValue | undefined
  #isKnown = false
  #isOver = false
  #stop = (): void => {}

  constructor(namespace: ElectionKeys) {
    super()
    this.#namespace = namespace
    this.#running = this.#run().catch((error: unknown) => {
      // A caller that waits for the first leader must not wait for ever when the client is closed.
      if (!this.#isKnown || !(error instanceof ClientClosedError)) this.emit('error', error)
    })
  }

  /** Whether there is a leader. */
  get hasLeader(): boolean {
    return this.#leader !== undefined
  }

  /** The value of the leader; `undefined` if there is none. */
  leader(encoding?: BufferEncoding): string | undefined
  leader(encoding: 'buffer'): Buffer | undefined
  leader(encoding: BufferEncoding | 'buffer' = 'utf-8'): string | Buffer | undefined {
    checkEncoding(encoding)
    return encoding === 'buffer' ? this.#leader?.value : this.#leader?.value.toString(encoding)
  }

  /** Follows no longer. */
  async cancel(): Promise<void> {
    this.#isOver = true
    this.#stop()
    await this.#running
  }

  override on<Name extends keyof ObserverEventMap>(
    event: Name,
    handler: (...args: ObserverEventMap[Name]) => void,
  ): this
  override on(event: string | symbol, handler: Listener): this
  override on(event: string | symbol, handler: Listener): this {
    return super.on(event, handler)
  }

  async #run(): Promise<void> {
    while (!this.#isOver) {
      const { kvs, header } = await this.#namespace.getAll().sort('Create', 'Ascend').limit(1).exec()
      if (this.#isOver) return
      this.#setLeader(kvs[0])
      const hasChanged = await (kvs[0] === undefined
        ? this.#untilElected(header.revision)
        : this.#untilDeleted(kvs[0].key, header.revision))
      if (!hasChanged) return
    }
  }

  /** Follows the first candidate after `revision`, which is the leader. It is reported even if it resigns at once. */
  async #untilElected(revision: string): Promise<boolean> {
    const watcher = this.#namespace.watch().startRevision(nextRevision(revision)).prefix('').only('put').watcher()
    const leader = await untilEvent(watcher, 'put', (stop) => {
      this.#stop = stop
    })
    if (leader === undefined) return false
    this.#setLeader(leader)
    return this.#untilDeleted(leader.key, leader.mod_revision)
  }

  /** Follows the value of a leader until its key is deleted. Resolves with `false` if it was stopped. */
  async #untilDeleted(key: Buffer, revision: string): Promise<boolean> {
    const watcher = this.#namespace.watch().startRevision(nextRevision(revision)).key(key).watcher()
    watcher.on('put', (kv) => this.#setLeader(kv))
    const deleted = await untilEvent(watcher, 'delete', (stop) => {
      this.#stop = stop
    })
    return deleted !== undefined
  }

  #setLeader(leader: IKeyValue | undefined): void {
    const value = leader?.value
    const isSame = value === undefined ? !this.hasLeader : this.#leader?.value.equals(value) === true
    this.#leader = leader
    if (isSame && this.#isKnown) return
    this.#isKnown = true
    this.emit('change', value?.toString())
  }
}
