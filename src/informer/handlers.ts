import type { Change, ChangeSource } from './change.js'
import { ChangeStream } from './change-stream.js'
import { type ChangeHandler, HandlerQueue, type HandlerQueueHost } from './handler-queue.js'
import type { InformerStats, InformerSubscription } from './informer-options.js'
import type { InformerSnapshot } from './snapshot.js'

/** Where a handler starts: with all existing keys, or with the changes after a snapshot. */
export interface HandlerStart<T> {
  readonly from: InformerSnapshot<T> | undefined
  readonly now: InformerSnapshot<T> | undefined
  readonly known?: Known | undefined
}

/** A revision of one history of the cluster, up to which a handler knows all changes. */
export interface Known {
  readonly revision: number
  readonly history: number
}

interface Member<T> {
  readonly queue: HandlerQueue<T>
  end(reason: unknown): void
}

/** The handlers of an informer. */
export class Handlers<T> {
  readonly #host: HandlerQueueHost
  readonly #maxQueuedChanges: number
  readonly #members = new Set<Member<T>>()
  readonly #streams = new Set<ChangeStream<T>>()
  /** Number of times that the history of the cluster changed. */
  #history = 0

  constructor(host: HandlerQueueHost, maxQueuedChanges: number) {
    this.#host = host
    this.#maxQueuedChanges = maxQueuedChanges
  }

  get stats(): InformerStats['handlers'] {
    return [...this.#members].map(({ queue: { queued, overflows } }) => ({ queued, overflows }))
  }

  /** The knowledge of a handler that knows all changes up to a revision of the current history. */
  known(revision: number): Known {
    return { revision, history: this.#history }
  }

  subscribe(handler: ChangeHandler<T>, { from, now, known }: HandlerStart<T>): InformerSubscription {
    const { promise, resolve, reject } = caughtUp()
    const queue = new HandlerQueue<T>(this.#host, handler, {
      limit: this.#maxQueuedChanges,
      onCaughtUp: resolve,
      from,
      known: known?.history === this.#history ? known.revision : undefined,
    })
    const end = (reason: unknown): void => {
      queue.close()
      reject(reason)
      this.#members.delete(member)
    }
    const member: Member<T> = { queue, end }
    this.#members.add(member)
    if (now !== undefined) queue.replace(now, 'resync')
    const close = (): void => end(new Error('the subscription was closed'))
    return { ready: promise, close, [Symbol.dispose]: close }
  }

  /** Creates an iterator. `join` subscribes it, possibly later; `signal` aborts when the iterator ends. */
  stream(
    join: (stream: ChangeStream<T>, signal: AbortSignal) => Promise<InformerSubscription>,
    signal: AbortSignal | undefined,
  ): ChangeStream<T> {
    const over = new AbortController()
    const stream = new ChangeStream<T>(() => {
      over.abort()
      this.#streams.delete(stream)
    }, signal)
    this.#streams.add(stream)
    const joined = ({ close }: InformerSubscription): void => {
      if (stream.isOver) close()
      else over.signal.addEventListener('abort', close, { once: true })
    }
    join(stream, over.signal).then(joined, (error: unknown) => stream.fail(error))
    return stream
  }

  push(changes: readonly Change<T>[], to: InformerSnapshot<T>): void {
    for (const { queue } of this.#members) queue.push(changes, to)
  }

  /** `isSameHistory` is false if the history of the cluster changed. */
  replace(to: InformerSnapshot<T>, source: ChangeSource, isSameHistory: boolean): void {
    if (!isSameHistory) this.#history += 1
    for (const { queue } of this.#members) {
      if (!isSameHistory) queue.forgetKnown()
      queue.replace(to, source)
    }
  }

  /** Ends all handlers. Iterations end, or throw after a failure. */
  end(reason: unknown, isFailure: boolean): void {
    for (const stream of [...this.#streams]) {
      if (isFailure) stream.fail(reason)
      else stream.end()
    }
    for (const member of [...this.#members]) member.end(reason)
  }
}

function caughtUp(): { promise: Promise<void>; resolve(): void; reject(reason: unknown): void } {
  let settle: { resolve(): void; reject(reason: unknown): void } | undefined
  const promise = new Promise<void>((resolve, reject) => {
    settle = { resolve, reject }
  })
  // Not every caller awaits it.
  promise.catch(() => {})
  return { promise, resolve: () => settle?.resolve(), reject: (reason) => settle?.reject(reason) }
}
