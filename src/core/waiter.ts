import { longestTimerMs, onAbort } from './abort.js'

/** A promise that is settled from outside. */
export class Deferred<T> {
  readonly promise: Promise<T>
  resolve: (value: T) => void = () => {}
  reject: (reason: unknown) => void = () => {}

  constructor() {
    this.promise = new Promise((resolve, reject) => {
      this.resolve = resolve
      this.reject = reject
    })
  }
}

/** What ends a wait before it gets what it waits for. */
export interface WaiterInit<T> {
  /** Its reason rejects the wait. */
  readonly signal?: AbortSignal | undefined
  /** When `onTimeout` is called, in milliseconds. A wait with a timer holds the process open. @default never */
  readonly timeoutMs?: number | undefined
  /** Settles the wait. */
  readonly onTimeout?: (waiter: Waiter<T>) => void
  /** The wait has been settled, however. Never called while the waiter is being constructed. */
  readonly onEnd?: () => void
}

/** One wait with a deadline and a signal. The first settlement counts, and takes the timer and the listener off. */
export class Waiter<T> {
  readonly #deferred = new Deferred<T>()
  readonly #onEnd: (() => void) | undefined
  readonly #removeListener: () => void
  readonly #timer: NodeJS.Timeout | undefined
  #isSettled = false

  constructor({ signal, timeoutMs = Number.POSITIVE_INFINITY, onTimeout, onEnd }: WaiterInit<T>) {
    this.#onEnd = onEnd
    if (timeoutMs <= longestTimerMs) this.#timer = setTimeout(() => onTimeout?.(this), timeoutMs)
    if (signal?.aborted === true) queueMicrotask(() => this.reject(signal.reason))
    this.#removeListener = onAbort(signal?.aborted === true ? undefined : signal, (reason) => this.reject(reason))
  }

  get promise(): Promise<T> {
    return this.#deferred.promise
  }

  resolve(value: T): void {
    if (this.#end()) this.#deferred.resolve(value)
  }

  reject(reason: unknown): void {
    if (this.#end()) this.#deferred.reject(reason)
  }

  #end(): boolean {
    if (this.#isSettled) return false
    this.#isSettled = true
    clearTimeout(this.#timer)
    this.#removeListener()
    this.#onEnd?.()
    return true
  }
}

/** The waits for one kind of event, in the order in which they began. `subject` is what each of them waits for. */
export class Waiters<T, Subject = undefined> implements Iterable<readonly [Waiter<T>, Subject]> {
  readonly #waiters = new Map<Waiter<T>, Subject>()

  get size(): number {
    return this.#waiters.size
  }

  /** Settled waits are removed at once, also during an iteration. */
  [Symbol.iterator](): MapIterator<[Waiter<T>, Subject]> {
    return this.#waiters.entries()
  }

  wait(subject: Subject, { onEnd, ...bounds }: WaiterInit<T>): Promise<T> {
    const waiter = new Waiter<T>({
      ...bounds,
      onEnd: () => {
        this.#waiters.delete(waiter)
        onEnd?.()
      },
    })
    this.#waiters.set(waiter, subject)
    return waiter.promise
  }
}
