import type { AsyncLocalStorage } from 'node:async_hooks'

type MessageListener = (message: unknown, name: string | symbol) => void

/** A `Channel` of Node whose messages are of one type. */
export interface StepChannel<Message> {
  readonly name: string | symbol
  readonly hasSubscribers: boolean
  /** Passes a message to all subscribers. */
  publish(message: unknown): void
  /** Adds a subscriber. */
  subscribe(onMessage: MessageListener): void
  /** Removes a subscriber. */
  unsubscribe(onMessage: MessageListener): void
  /** While `runStores` runs, `store` holds the result of `transform` for the message. */
  bindStore<Store>(store: AsyncLocalStorage<Store>, transform?: (message: Message) => Store): void
  /** Removes what `bindStore()` added. */
  unbindStore<Store>(store: AsyncLocalStorage<Store>): void
  /** Calls `run` with the bound stores, and publishes the message before. */
  runStores<Result>(message: Message, run: () => Result): Result
}

/** Functions that are called for the steps of an operation. */
export interface OperationSubscribers<Start extends object> {
  /** Called before the operation. */
  start(message: Start): void
  /** Called when the function that starts the operation has returned or thrown. */
  end(message: Start): void
  /** Called when the promise of the operation has settled. */
  asyncStart(message: Start): void
  /** Called after `asyncStart`, when the callers of the operation continue. */
  asyncEnd(message: Start): void
  /** Called when the operation fails. */
  error(message: Start & { readonly error: unknown }): void
}

/**
 * A `TracingChannel` of Node. The type is written out because Node's type has its two parameters in the reverse order in
 * `@types/node` 26.
 */
export interface OperationChannel<Start extends object> {
  readonly start: StepChannel<Start>
  readonly end: StepChannel<Start>
  readonly asyncStart: StepChannel<Start>
  readonly asyncEnd: StepChannel<Start>
  readonly error: StepChannel<Start>
  readonly hasSubscribers: boolean
  /** Adds functions for some of the steps. */
  subscribe(subscribers: Partial<OperationSubscribers<Start>>): void
  /** Removes functions that `subscribe()` added. */
  unsubscribe(subscribers: Partial<OperationSubscribers<Start>>): void
}
