import { AsyncLocalStorage } from 'node:async_hooks'
import { longestTimerMs } from '../core/abort.js'
import { InvalidArgumentError } from '../core/errors.js'
import { assertKnownOptions, describe, durationMs, positiveInteger } from '../core/validate.js'

/** How soon a key is worked on again after its work has failed. */
export interface WorkQueueOptions {
  /** Keys worked on at the same time, never the same one. @default 1 */
  readonly concurrency?: number | undefined
  /** Wait after the first failure of a key in milliseconds; it doubles with each further one in a row. @default 100 */
  readonly minRetryMs?: number | undefined
  /** The longest such wait. @default 60 000 */
  readonly maxRetryMs?: number | undefined
  /** Called when the work on a key has failed, with how often that was so in a row. */
  readonly onError: (error: unknown, key: string, failures: number) => void
}

/** What is known of a queue now. */
export interface WorkQueueStats {
  /** Keys that wait to be worked on. */
  readonly queued: number
  readonly active: number
  /** Keys that wait for their time, after a failure or by `addAfter`. */
  readonly delayed: number
}

/** The work on one key. Where it fails, the key comes again after a wait. */
export type Work = (key: string, options: { readonly signal: AbortSignal }) => unknown

const optionNames = ['concurrency', 'minRetryMs', 'maxRetryMs', 'onError']

/** The work that the running code is a part of. */
const current = new AsyncLocalStorage<{ readonly queue: WorkQueue; readonly key: string }>()

/**
 * Keys to be worked on: each waits once, however often it was added, and is never worked on twice at the same time. One
 * that is added while it is being worked on comes again afterwards. For the keys of an informer: what is to be done
 * follows from the state that the informer shows when the work begins, not from the event that caused it.
 */
export class WorkQueue implements AsyncDisposable {
  readonly #work: Work
  readonly #concurrency: number
  readonly #minRetryMs: number
  readonly #maxRetryMs: number
  readonly #onError: WorkQueueOptions['onError']
  readonly #queued = new Set<string>()
  readonly #active = new Map<string, Promise<void>>()
  /** Added while being worked on. */
  readonly #again = new Set<string>()
  readonly #delayed = new Map<string, { readonly timer: NodeJS.Timeout; readonly dueAt: number }>()
  readonly #failures = new Map<string, number>()
  readonly #closing = new AbortController()
  /** Keys whose work waits for the end of the others: nobody waits for these, or they would wait for each other. */
  readonly #closers = new Set<string>()
  #onIdle: (() => void)[] = []

  constructor(work: Work, options: WorkQueueOptions) {
    if (typeof work !== 'function') throw new InvalidArgumentError(`\`work\` must be a function, got ${describe(work)}`)
    assertKnownOptions('new WorkQueue()', options, optionNames)
    this.#work = work
    this.#concurrency = positiveInteger('concurrency', options.concurrency ?? 1)
    this.#minRetryMs = durationMs('minRetryMs', options.minRetryMs ?? 100)
    this.#maxRetryMs = Math.min(longestTimerMs, durationMs('maxRetryMs', options.maxRetryMs ?? 60_000))
    if (typeof options.onError !== 'function') {
      throw new InvalidArgumentError(`\`onError\` must be a function, got ${describe(options.onError)}`)
    }
    this.#onError = options.onError
  }

  stats(): WorkQueueStats {
    return { queued: this.#queued.size, active: this.#active.size, delayed: this.#delayed.size }
  }

  /** Has a key worked on as soon as there is room; one that waits already stays where it is. */
  add(key: string): void {
    checkKey(key)
    if (this.#closing.signal.aborted) return
    this.#undelay(key)
    if (this.#active.has(key)) this.#again.add(key)
    else this.#queued.add(key)
    this.#fill()
  }

  /** Has a key worked on after `delayMs`, unless it is added before. */
  addAfter(key: string, delayMs: number): void {
    checkKey(key)
    durationMs('delayMs', delayMs)
    this.#delay(key, delayMs)
  }

  /** How often the work on a key has failed in a row. */
  failures(key: string): number {
    return this.#failures.get(key) ?? 0
  }

  /** Resolves when nothing waits and nothing is being worked on; delayed keys do not count. */
  idle(): Promise<void> {
    if (this.#isIdle) return Promise.resolve()
    return new Promise((resolve) => this.#onIdle.push(resolve))
  }

  /**
   * Takes no more keys, drops those that wait, aborts the `signal` of the work under way and waits for its end. Called by
   * the work on a key, it waits for the work on the other keys.
   */
  async close(): Promise<void> {
    const caller = current.getStore()
    const isOwnWork = caller?.queue === this && this.#active.has(caller.key)
    if (isOwnWork) this.#closers.add(caller.key)
    this.#closing.abort()
    this.#queued.clear()
    this.#again.clear()
    for (const { timer } of this.#delayed.values()) clearTimeout(timer)
    this.#delayed.clear()
    const awaited = [...this.#active].filter(([key]) => !isOwnWork || !this.#closers.has(key))
    await Promise.all(awaited.map(([, work]) => work))
    if (this.#isIdle) this.#tellIdle()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  get #isIdle(): boolean {
    return this.#queued.size === 0 && this.#active.size === 0
  }

  #fill(): void {
    for (const key of this.#queued) {
      if (this.#active.size >= this.#concurrency) return
      this.#queued.delete(key)
      this.#active.set(key, this.#run(key))
    }
  }

  async #run(key: string): Promise<void> {
    // The caller of `add` is never in the way of the work.
    await Promise.resolve()
    // What was added before the work began is what it works on.
    this.#again.delete(key)
    try {
      await current.run({ queue: this, key }, () => this.#work(key, { signal: this.#closing.signal }))
      this.#failures.delete(key)
    } catch (error) {
      this.#failed(key, error)
    } finally {
      this.#active.delete(key)
      this.#closers.delete(key)
      if (this.#again.delete(key)) this.add(key)
      this.#fill()
      if (this.#isIdle) this.#tellIdle()
    }
  }

  #failed(key: string, error: unknown): void {
    if (this.#closing.signal.aborted) return
    const failures = this.failures(key) + 1
    this.#failures.set(key, failures)
    this.#delay(key, Math.min(this.#maxRetryMs, this.#minRetryMs * 2 ** Math.min(failures - 1, 30)))
    this.#tellError(error, key, failures)
  }

  /** A listener that throws must not end the work on other keys, nor be silent. */
  #tellError(error: unknown, key: string, failures: number): void {
    try {
      this.#onError(error, key, failures)
    } catch (thrown) {
      queueMicrotask(() => {
        throw thrown
      })
    }
  }

  #delay(key: string, delayMs: number): void {
    if (this.#closing.signal.aborted) return
    const dueAt = performance.now() + delayMs
    const earlier = this.#delayed.get(key)
    if (earlier !== undefined && earlier.dueAt <= dueAt) return
    this.#undelay(key)
    const timer = setTimeout(() => this.add(key), Math.min(delayMs, longestTimerMs))
    this.#delayed.set(key, { timer, dueAt })
  }

  #undelay(key: string): void {
    clearTimeout(this.#delayed.get(key)?.timer)
    this.#delayed.delete(key)
  }

  #tellIdle(): void {
    const told = this.#onIdle
    this.#onIdle = []
    for (const resolve of told) resolve()
  }
}

function checkKey(key: string): void {
  if (typeof key !== 'string') throw new InvalidArgumentError(`\`key\` must be a string, got ${describe(key)}`)
}
