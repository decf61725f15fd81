import { AsyncLocalStorage } from 'node:async_hooks'
import { longestTimerMs } from '../core/abort.js'
import { InvalidArgumentError } from '../core/errors.js'
import { assertFunction, assertKnownOptions, describe, durationMs, positiveInteger } from '../core/validate.js'

/** Options of a work queue. */
export interface WorkQueueOptions {
  /** Maximum number of keys processed concurrently. @default 1 */
  readonly concurrency?: number | undefined
  /**
   * Delay before the first retry of a failed key, in milliseconds. It doubles with each consecutive failure. @default
   * 100
   */
  readonly minRetryMs?: number | undefined
  /** Maximum retry delay, in milliseconds. @default 60 000 */
  readonly maxRetryMs?: number | undefined
  /** Called when processing a key fails, with the number of consecutive failures. */
  readonly onError: (error: unknown, key: string, failures: number) => void
}

/** Current counts of a work queue. */
export interface WorkQueueStats {
  /** Keys that are ready to be processed. */
  readonly queued: number
  readonly active: number
  /** Keys that wait for a delay, after a failure or `addAfter()`. */
  readonly delayed: number
}

/** Processes one key. If it fails, the key is retried after a delay. */
export type Work = (key: string, options: { readonly signal: AbortSignal }) => unknown

const optionNames = ['concurrency', 'minRetryMs', 'maxRetryMs', 'onError']

/** The work that the running code belongs to. */
const current = new AsyncLocalStorage<{ readonly queue: WorkQueue; readonly key: string }>()

/**
 * Processes keys: each is queued once, however often it is added, and never processed concurrently with itself. A key
 * added while it is being processed is processed again afterwards. Designed for the keys of an informer: derive the
 * work from the state that the informer shows when processing starts, not from the event.
 *
 * @example
 * ```ts
 * await using queue = new WorkQueue((key) => reconcile(informer.get(key)), { onError: console.error })
 * informer.on('change', ({ keyText }) => queue.add(keyText))
 * ```
 */
export class WorkQueue implements AsyncDisposable {
  readonly #work: Work
  readonly #concurrency: number
  readonly #minRetryMs: number
  readonly #maxRetryMs: number
  readonly #onError: WorkQueueOptions['onError']
  readonly #queued = new Set<string>()
  readonly #active = new Map<string, Promise<void>>()
  /** Keys added while they were being processed. */
  readonly #again = new Set<string>()
  readonly #delayed = new Map<string, { readonly timer: NodeJS.Timeout; readonly dueAt: number }>()
  readonly #failures = new Map<string, number>()
  readonly #closing = new AbortController()
  /** Keys whose work called `close()`: `close()` does not wait for them, to avoid a deadlock. */
  readonly #closers = new Set<string>()
  #onIdle: (() => void)[] = []

  constructor(work: Work, options: WorkQueueOptions) {
    assertFunction('work', work)
    assertKnownOptions('new WorkQueue()', options, optionNames)
    this.#work = work
    this.#concurrency = positiveInteger('concurrency', options.concurrency ?? 1)
    this.#minRetryMs = durationMs('minRetryMs', options.minRetryMs ?? 100)
    this.#maxRetryMs = durationMs('maxRetryMs', options.maxRetryMs ?? 60_000)
    assertFunction('onError', options.onError)
    this.#onError = options.onError
  }

  /** The number of keys in each state. */
  stats(): WorkQueueStats {
    return { queued: this.#queued.size, active: this.#active.size, delayed: this.#delayed.size }
  }

  /** Adds a key; does nothing if it is already queued. */
  add(key: string): void {
    checkKey(key)
    if (this.#closing.signal.aborted) return
    this.#undelay(key)
    if (this.#active.has(key)) this.#again.add(key)
    else this.#queued.add(key)
    this.#fill()
  }

  /** Adds a key after `delayMs` milliseconds, unless it is added earlier. */
  addAfter(key: string, delayMs: number): void {
    checkKey(key)
    durationMs('delayMs', delayMs)
    this.#delay(key, delayMs)
  }

  /** The number of consecutive failures of a key. */
  failures(key: string): number {
    checkKey(key)
    return this.#failures.get(key) ?? 0
  }

  /** Resolves when no key is queued or being processed; delayed keys do not count. */
  idle(): Promise<void> {
    if (this.#isIdle) return Promise.resolve()
    return new Promise((resolve) => this.#onIdle.push(resolve))
  }

  /**
   * Accepts no more keys, drops queued ones, aborts the `signal` of running work and waits for it to end. Called from
   * the work on a key, it waits for the work on the other keys.
   */
  async close(): Promise<void> {
    const caller = current.getStore()
    const isOwnWork = caller?.queue === this && this.#active.has(caller.key)
    if (isOwnWork) this.#closers.add(caller.key)
    this.#closing.abort()
    this.#queued.clear()
    for (const { timer } of this.#delayed.values()) clearTimeout(timer)
    this.#delayed.clear()
    const awaited = [...this.#active].filter(([key]) => !isOwnWork || !this.#closers.has(key))
    await Promise.all(awaited.map(([, work]) => work))
  }

  /** Same as `close()`, for `await using`. */
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
    // The work never starts inside the caller's `add()`.
    await Promise.resolve()
    // The work sees everything that was added before it started.
    this.#again.delete(key)
    try {
      await current.run({ queue: this, key }, () => this.#work(key, { signal: this.#closing.signal }))
      this.#failures.delete(key)
    } catch (error) {
      this.#failed(key, error)
    } finally {
      this.#active.delete(key)
      if (this.#again.delete(key)) this.add(key)
      this.#fill()
      if (this.#isIdle) this.#resolveIdle()
    }
  }

  #failed(key: string, error: unknown): void {
    if (this.#closing.signal.aborted) return
    const failures = this.failures(key) + 1
    this.#failures.set(key, failures)
    this.#delay(key, Math.min(this.#maxRetryMs, this.#minRetryMs * 2 ** Math.min(failures - 1, 30)))
    this.#reportError(error, key, failures)
  }

  /** A listener that throws must neither stop the queue nor be silent. */
  #reportError(error: unknown, key: string, failures: number): void {
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

  #resolveIdle(): void {
    const waiting = this.#onIdle
    this.#onIdle = []
    for (const resolve of waiting) resolve()
  }
}

function checkKey(key: string): void {
  if (typeof key !== 'string') throw new InvalidArgumentError(`\`key\` must be a string, got ${describe(key)}`)
}
