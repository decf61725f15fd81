import { type Channel, channel, tracingChannel } from 'node:diagnostics_channel'
import { isEtcdError } from '../core/errors.js'
import type { OperationChannel } from './operation-channel.js'
import type { AttemptStart, AuthenticateStart, CallOutcome, CallStart, LockStart, WatchStart } from './records.js'

/**
 * The `node:diagnostics_channel` channels of this library, one message for each thing that has happened. Nothing is built
 * for a channel that nobody listens to.
 */
export const channels: {
  /** A `CallRecord` for each call that has ended. */
  readonly call: Channel
  /** An `AttemptRecord` for each sending of a call that has ended. */
  readonly attempt: Channel
  /** An `AuthenticateRecord` for each request for a token that has ended. */
  readonly authenticate: Channel
  /** A `ConnectRecord` for each new state of a connection. */
  readonly connect: Channel
  /** A `ClusterRecord` for each time that a client goes on with another cluster. */
  readonly cluster: Channel
  /** A `StreamRecord` for each stream, and each message on it. */
  readonly stream: Channel
  /** A `LeaseRecord` for each renewal and loss. */
  readonly lease: Channel
  /** A `LockRecord` for each lock that was granted or refused, released or lost. */
  readonly lock: Channel
  /** A `WatchRecord` for each watch that begins or ends, and each loss of their stream. */
  readonly watch: Channel
  /** An `InformerRecord` for each listing that took the place of what was there, and each error. */
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
 * The same operations for who follows them from their beginning, as tracers do: `TracingChannel`s of the same names, hence
 * `tracing:etcdkit:call:start` and its kin. All messages of one operation are one object; from `asyncStart` on it has what
 * the record on the channel of that name has. `start` is published where the operation is asked for, so that the caller's
 * asynchronous context is there, and stores that are bound to it hold for all of the operation.
 */
export const tracing: {
  readonly call: OperationChannel<CallStart>
  readonly attempt: OperationChannel<AttemptStart>
  readonly authenticate: OperationChannel<AuthenticateStart>
  /** From the wish for a lock to its grant; a `LockWaitRecord` at the end. */
  readonly lock: OperationChannel<LockStart>
  /** From the wish for a watch to its confirmation by a member; a `WatchCreateRecord` at the end. */
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

/** A channel that tells the end of operations, and the tracing channel of the same name. */
export interface ChannelPair<Start extends object> {
  readonly ended: Channel
  readonly traced: OperationChannel<Start>
}

/** Whether anybody listens to one of them. */
export function isObserved<Start extends object>({ ended, traced }: ChannelPair<Start>): boolean {
  return ended.hasSubscribers || traced.hasSubscribers
}

/**
 * Begins an operation, as `TracingChannel.tracePromise()` does. That one would put the result on the record, which holds
 * values.
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

/** Tells the end of an operation; its record is complete. `error` is where tracers look for what it failed with. */
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
    // The outcome has it, too: once is enough for a log.
    Object.defineProperty(record, 'error', { value: error })
    traced.error.publish(record)
  }
  traced.asyncStart.publish(record)
  traced.asyncEnd.publish(record)
}

/** The outcome that a rejection stands for: whatever is no error of this library is the caller's own abort. */
export function outcomeOf(error: unknown): CallOutcome {
  if (!isEtcdError(error)) return { ok: false, aborted: true }
  return { ok: false, aborted: false, code: error.code, effect: error.effect, error }
}
