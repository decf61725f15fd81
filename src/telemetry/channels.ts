import { type Channel, channel, tracingChannel } from 'node:diagnostics_channel'
import { isEtcdError } from '../core/errors.js'
import type { OperationChannel } from './operation-channel.js'
import type { AttemptStart, AuthenticateStart, CallOutcome, CallStart, LockStart, WatchStart } from './records.js'

/**
 * The `node:diagnostics_channel` channels of this library, with one message for each event. A channel without subscribers
 * costs nothing: its messages are not built.
 *
 * @example
 * ```ts
 * channels.slow.subscribe((record) => console.warn('slow call', record))
 * ```
 */
export const channels: {
  /** A `CallRecord` for each call that has ended. */
  readonly call: Channel
  /** An `AttemptRecord` for each attempt of a call that has ended. */
  readonly attempt: Channel
  /** An `AuthenticateRecord` for each request for a token that has ended. */
  readonly authenticate: Channel
  /** A `ConnectRecord` for each new state of a connection. */
  readonly connect: Channel
  /** A `ClusterRecord` each time a client continues with another cluster. */
  readonly cluster: Channel
  /** A `StreamRecord` for the start and the end of each stream, and for each message on it. */
  readonly stream: Channel
  /** A `LeaseRecord` for each renewal and loss of a lease, and each interruption of keep-alives. */
  readonly lease: Channel
  /** A `LockRecord` for each lock that was granted or refused, released or lost. */
  readonly lock: Channel
  /** A `WatchRecord` for the start and the end of each watch, and each loss of the stream that carries them. */
  readonly watch: Channel
  /** An `InformerRecord` for each listing that has replaced the contents of an informer, and each error. */
  readonly informer: Channel
  /** The `CallRecord` of each call that took longer than `diagnostics.slowCallMs`. */
  readonly slow: Channel
} = {
  call: channel('etcdkit:call'),
  attempt: channel('etcdkit:attempt'),
  authenticate: channel('etcdkit:authenticate'),
  connect: channel('etcdkit:connect'),
  cluster: channel('etcdkit:cluster'),
  stream: channel('etcdkit:stream'),
  lease: channel('etcdkit:lease'),
  lock: channel('etcdkit:lock'),
  watch: channel('etcdkit:watch'),
  informer: channel('etcdkit:informer'),
  slow: channel('etcdkit:slow'),
}

/**
 * The same operations from their start, for tracers: `TracingChannel`s with the same names, such as
 * `tracing:etcdkit:call:start`. All messages of one operation are the same object; from `asyncStart` on it has all fields of
 * the record on the channel of that name. `start` is published in the caller's asynchronous context, and a store that is
 * bound to it applies to the whole operation.
 */
export const tracing: {
  readonly call: OperationChannel<CallStart>
  readonly attempt: OperationChannel<AttemptStart>
  readonly authenticate: OperationChannel<AuthenticateStart>
  /** From the request for a lock to its grant; a `LockWaitRecord` at the end. */
  readonly lock: OperationChannel<LockStart>
  /** From the request for a watch to its confirmation by a member; a `WatchCreateRecord` at the end. */
  readonly watch: OperationChannel<WatchStart>
} = {
  call: operationChannel('etcdkit:call'),
  attempt: operationChannel('etcdkit:attempt'),
  authenticate: operationChannel('etcdkit:authenticate'),
  lock: operationChannel('etcdkit:lock'),
  watch: operationChannel('etcdkit:watch'),
}

function operationChannel<Start extends object>(name: string): OperationChannel<Start> {
  const made: unknown = tracingChannel(name)
  return made as OperationChannel<Start>
}

/** A channel of operations that have ended, and the tracing channel with the same name. */
export interface ChannelPair<Start extends object> {
  readonly ended: Channel
  readonly traced: OperationChannel<Start>
}

/** Whether one of them has subscribers. */
export function isObserved<Start extends object>({ ended, traced }: ChannelPair<Start>): boolean {
  return ended.hasSubscribers || traced.hasSubscribers
}

/**
 * Starts an operation, as `TracingChannel.tracePromise()` does, but without putting the result on the record: it may hold
 * values of keys.
 */
export function begin<Start extends object, Result>(
  traced: OperationChannel<Start>,
  record: Start,
  run: () => Promise<Result>,
): Promise<Result> {
  return traced.start.runStores(record, () => {
    const running = run()
    traced.end.publish(record)
    return running
  })
}

/** Publishes the end of an operation, whose record is complete. Tracers read the failure from `error`. */
export function settle<Start extends object>(
  { ended, traced }: ChannelPair<Start>,
  record: Start & { readonly outcome: CallOutcome },
  error?: unknown,
): void {
  settleTraced(traced, record, error)
  ended.publish(record)
}

/** The same, for the tracing channel alone. */
export function settleTraced<Start extends object>(
  traced: OperationChannel<Start>,
  record: Start & { readonly outcome: CallOutcome },
  error: unknown,
): void {
  if (!record.outcome.ok) {
    // Not enumerable: the outcome has it as well, and once is enough for a log.
    Object.defineProperty(record, 'error', { value: error })
    traced.error.publish(record)
  }
  traced.asyncStart.publish(record)
  traced.asyncEnd.publish(record)
}

/** The outcome of a rejection: anything but an error of this library is the reason of the caller's abort. */
export function outcomeOf(error: unknown): CallOutcome {
  if (!isEtcdError(error)) return { ok: false, aborted: true }
  return { ok: false, aborted: false, code: error.code, effect: error.effect, error }
}
