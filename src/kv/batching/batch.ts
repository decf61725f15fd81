import { longestTimerMs } from '../../core/abort.js'
import { type ErrorCode, isEtcdError } from '../../core/errors.js'
import { protocolError } from '../../protobuf/protocol-error.js'
import { type BatchedCalls, progressOf } from '../../transport/call-progress.js'
import { setMessage } from '../../transport/encoding.js'
import { type CallContext, type CallKind, callContext, type Transport } from '../../transport/transport.js'
import type { BatchOperation, BatchResponse, OperationResponse } from './batch-operation.js'
import type { BatchedCall } from './batched-call.js'

/**
 * How a batch ended: answered, failed for all of its calls, or refused for a reason that may be one operation's. In that
 * case its calls are made one by one, and `rest` resolves when all of them have settled.
 */
export type BatchOutcome =
  | { readonly kind: 'answered'; readonly responseBytes: number }
  | { readonly kind: 'failed' }
  | { readonly kind: 'refused'; readonly error: unknown; readonly rest: Promise<unknown> }

/** Deadlines that are no further apart than this pass together: Node's timers are no more exact. */
const sameDeadlineMs = 2

/** A refusal with one of these codes applies to every call, not to one of them. */
const sharedReasons: ReadonlySet<ErrorCode> = new Set([
  'CLOSED',
  'CLUSTER_CHANGED',
  'REVISION_REWOUND',
  'DEADLINE_EXCEEDED',
  'SERVER_DEADLINE_EXCEEDED',
  'AUTH_FAILED',
  'INVALID_AUTH_TOKEN',
  'USER_EMPTY',
  'CORRUPT',
])

/**
 * Calls that are made as one transaction. The batch has the latest deadline of its calls and is canceled only when all
 * callers have left. If it is refused, with nothing done, for a reason that may be one operation's, its calls are made one
 * by one, so that only the offending call fails.
 */
export class Batch<Request, Response extends OperationResponse> implements BatchedCalls {
  readonly #transport: Transport
  readonly #operation: BatchOperation<Request, Response>
  readonly #operations: readonly BatchedCall<Request, Response>[]
  readonly #context: CallContext
  readonly #canceled: AbortController | undefined
  #waiting = 0
  #timer: NodeJS.Timeout | undefined

  constructor(
    transport: Transport,
    operation: BatchOperation<Request, Response>,
    operations: readonly BatchedCall<Request, Response>[],
    kind: CallKind,
  ) {
    this.#transport = transport
    this.#operation = operation
    this.#operations = operations
    const calls = allCalls(operations)
    // A caller without a signal stays to the end, so that the batch can never be canceled.
    const isCancelable = calls.every(({ context }) => context.signal !== undefined)
    this.#canceled = isCancelable ? new AbortController() : undefined
    this.#context = { ...callContext({ signal: this.#canceled?.signal }, kind), deadlineAt: lastDeadline(calls) }
    progressOf.batch(this.#context).batch = this
    for (const call of calls) this.#admit(call)
  }

  get method(): string {
    return this.#operation.method.name
  }

  get calls(): readonly CallContext[] {
    return allCalls(this.#operations).map(({ context }) => context)
  }

  /** Lets another caller share the response that `call` waits for; `false` if there will be none. */
  join(call: BatchedCall<Request, Response>, coalesced: BatchedCall<Request, Response>): boolean {
    if (this.#canceled?.signal.aborted === true) return false
    call.coalesce(coalesced)
    this.#admit(coalesced)
    this.#watchDeadlines()
    return true
  }

  /** Settles every call. Never rejects. */
  async send(): Promise<BatchOutcome> {
    this.#watchDeadlines()
    try {
      return this.#answered(await this.#exchange())
    } catch (error) {
      return this.#failed(error)
    } finally {
      clearTimeout(this.#timer)
    }
  }

  /** A single operation needs no transaction, however many callers wait for its response. */
  async #exchange(): Promise<BatchResponse<Response>> {
    const [first, second] = this.#operations
    if (first === undefined || second !== undefined) {
      return this.#transport.unary(this.#operation.txn, this.#operations, this.#context)
    }
    const { request, message } = first
    setMessage(this.#context, request, message)
    const response = await this.#transport.unary(this.#operation.method, request, this.#context)
    return { header: response.header, responses: [response], sizes: [this.#context.progress.responseBytes] }
  }

  #admit(call: BatchedCall<Request, Response>): void {
    if (call.isSettled) return
    this.#waiting += 1
    call.joinBatch(this.#context, this.#onLeave)
  }

  readonly #onLeave = (): void => {
    this.#waiting -= 1
    if (this.#waiting === 0) this.#canceled?.abort()
  }

  #answered({ responses, sizes }: BatchResponse<Response>): BatchOutcome {
    const operations = this.#operations
    if (responses.length !== operations.length) {
      throw protocolError(`${operations.length} responses expected, got ${responses.length}`)
    }
    for (let index = 0; index < operations.length; index += 1) {
      const call = operations[index]
      const response = responses[index]
      if (call !== undefined && response !== undefined) this.#resolve(call, response, sizes[index] ?? 0)
    }
    return { kind: 'answered', responseBytes: this.#context.progress.responseBytes }
  }

  #resolve(call: BatchedCall<Request, Response>, response: Response, bytes: number): void {
    for (const coalesced of call.coalesced) coalesced.resolve(this.#operation.copy(response), bytes)
    call.resolve(response, bytes)
  }

  #failed(error: unknown): BatchOutcome {
    const open = allCalls(this.#operations).filter(({ isSettled }) => !isSettled)
    if (this.#mayConcernOne(error)) return { kind: 'refused', error, rest: Promise.all(open.map(this.#sendAlone)) }
    for (const call of open) {
      if (this.#outlasts(call, error)) void this.#sendAlone(call)
      else call.reject(error)
    }
    return { kind: 'failed' }
  }

  /** Whether the call joined the batch in flight, and has time left although the batch's deadline has passed. */
  #outlasts({ context }: BatchedCall<Request, Response>, error: unknown): boolean {
    const hasTime = context.deadlineAt > this.#context.deadlineAt + sameDeadlineMs
    return hasTime && isEtcdError(error, 'DEADLINE_EXCEEDED')
  }

  readonly #sendAlone = (call: BatchedCall<Request, Response>): Promise<unknown> => call.sendAlone(this.#transport)

  /** Whether the error may concern one operation, and nothing was done for any. */
  #mayConcernOne(error: unknown): boolean {
    if (this.#operations.length === 1) return false
    if (!isEtcdError(error) || error.retryable || sharedReasons.has(error.code)) return false
    return this.#context.repeatable || error.effect === 'none'
  }

  /** Ends the wait of the calls whose deadline passes before the batch's. */
  #watchDeadlines(): void {
    clearTimeout(this.#timer)
    const last = this.#context.deadlineAt - sameDeadlineMs
    let next = Number.POSITIVE_INFINITY
    for (const { isSettled, context } of allCalls(this.#operations)) {
      if (!isSettled && context.deadlineAt < last) next = Math.min(next, context.deadlineAt)
    }
    if (next === Number.POSITIVE_INFINITY) return
    const delayMs = Math.min(longestTimerMs, Math.max(0, next - performance.now()))
    this.#timer = setTimeout(() => this.#expire(), delayMs)
  }

  #expire(): void {
    const now = performance.now()
    for (const call of allCalls(this.#operations)) {
      if (!call.isSettled && call.context.deadlineAt <= now) call.expire()
    }
    this.#watchDeadlines()
  }
}

function lastDeadline(calls: readonly { readonly isSettled: boolean; readonly context: CallContext }[]): number {
  let deadlineAt = Number.NEGATIVE_INFINITY
  for (const { isSettled, context } of calls) if (!isSettled) deadlineAt = Math.max(deadlineAt, context.deadlineAt)
  return deadlineAt
}

function allCalls<Request, Response>(
  operations: readonly BatchedCall<Request, Response>[],
): readonly BatchedCall<Request, Response>[] {
  return operations.some(({ coalesced }) => coalesced.length > 0)
    ? operations.flatMap((call) => [call, ...call.coalesced])
    : operations
}
