import type { AsyncLocalStorage } from 'node:async_hooks'

type MessageListener = (message: unknown, name: string | symbol) => void

/** A `Channel` of Node whose messages are of one type. */
export interface StepChannel<Message> {
  readonly name: string | symbol
  readonly hasSubscribers: boolean
  publish(message: unknown): void
  subscribe(onMessage: MessageListener): void
  unsubscribe(onMessage: MessageListener): void
  /** While `runStores` runs, `store` holds the result of `transform` for the message. */
  bindStore<Store>(store: AsyncLocalStorage<Store>, transform?: (message: Message) => Store): void
  unbindStore<Store>(store: AsyncLocalStorage<Store>): void
  runStores<Result>(message: Message, run: () => Result): Result
}

/** Functions that are called for the steps of an operation. */
export interface OperationSubscribers<Start extends object> {
  start(message: Start): void
  end(message: Start): void
  asyncStart(message: Start): void
  asyncEnd(message: Start): void
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
  subscribe(subscribers: Partial<OperationSubscribers<Start>>): void
  unsubscribe(subscribers: Partial<OperationSubscribers<Start>>): void
}
