import { longestTimerMs } from '../../core/abort.js'
import { type ErrorCode, isEtcdError } from '../../core/errors.js'
import { protocolError } from '../../protobuf/protocol-error.js'
import { type BatchedCalls, progressOf } from '../../transport/call-progress.js'
import { setMessage } from '../../transport/encoding.js'
import { type CallContext, type CallKind, callContext, type Transport } from '../../transport/transport.js'
import type { BatchedCall } from './batched-call.js'
import { type GroupAnswer, groupTxn, type OperationAnswer } from './group-txn.js'

/**
 * What became of a group: answered, failed for all alike, or refused for what may be one operation of it; `rest` is then the
 * end of its calls, which are made one by one.
 */
export type GroupOutcome =
  | { readonly kind: 'answered'; readonly responseBytes: number }
  | { readonly kind: 'failed' }
  | { readonly kind: 'refused'; readonly error: unknown; readonly rest: Promise<unknown> }

/** What is the same for all calls of a group. */
export interface GroupKind extends CallKind {
  /** Gives the same answer to another caller, who may change it. */
  readonly copyAnswer: (answer: OperationAnswer) => OperationAnswer
}

/** Deadlines that are no further apart than this pass together: Node's timers are no more exact. */
const sameDeadlineMs = 2

/** What a refusal by these codes says is true of every call, not of one of them. */
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
 * Calls that are made as one transaction. The group has the latest deadline of its calls and ends early only when all
 * callers have left. What is refused for a reason that may be one operation's alone, with nothing done, is made again call
 * by call, so that only the guilty ones fail.
 */
export class CallGroup implements BatchedCalls {
  readonly #inner: Transport
  readonly #operations: readonly BatchedCall[]
  readonly #kind: GroupKind
  readonly #context: CallContext
  readonly #canceled: AbortController | undefined
  #waiting = 0
  #timer: NodeJS.Timeout | undefined

  constructor(inner: Transport, calls: readonly BatchedCall[], kind: GroupKind) {
    this.#inner = inner
    this.#operations = calls
    this.#kind = kind
    // A caller without a signal that stays to the end keeps the group from being canceled at all.
    const all = callers(calls)
    const mayEmpty = all.every(({ context }) => context.signal !== undefined)
    this.#canceled = mayEmpty ? new AbortController() : undefined
    let deadlineAt = Number.NEGATIVE_INFINITY
    for (const { isSettled, context } of all) if (!isSettled) deadlineAt = Math.max(deadlineAt, context.deadlineAt)
    this.#context = { ...callContext({ signal: this.#canceled?.signal }, kind), deadlineAt }
    progressOf.batch(this.#context).batch = this
    for (const call of all) this.#admit(call)
  }

  get method(): string {
    return this.#operations[0]?.method.name ?? groupTxn.name
  }

  get calls(): readonly CallContext[] {
    return callers(this.#operations).map(({ context }) => context)
  }

  /** Lets another caller have the answer that `call` is about to get; `false` where that will not come any more. */
  join(call: BatchedCall, twin: BatchedCall): boolean {
    if (this.#canceled?.signal.aborted === true) return false
    call.addTwin(twin)
    this.#admit(twin)
    this.#watchDeadlines()
    return true
  }

  /** Settles every call. Never rejects. */
  async send(): Promise<GroupOutcome> {
    this.#watchDeadlines()
    try {
      return this.#answered(await this.#exchange())
    } catch (error) {
      return this.#failed(error)
    } finally {
      clearTimeout(this.#timer)
    }
  }

  /** One operation needs no transaction, however many wait for its answer. */
  async #exchange(): Promise<GroupAnswer> {
    const [first, second] = this.#operations
    if (first === undefined || second !== undefined) {
      return this.#inner.unary(groupTxn, this.#operations, this.#context)
    }
    const { method, request, message } = first
    setMessage(this.#context, request, message)
    const answer = await this.#inner.unary(method, request, this.#context)
    return { header: answer.header, answers: [answer], sizes: [this.#context.progress.responseBytes] }
  }

  #admit(call: BatchedCall): void {
    if (call.isSettled) return
    this.#waiting += 1
    call.carriedBy(this.#context, this.#onLeave)
  }

  readonly #onLeave = (): void => {
    this.#waiting -= 1
    if (this.#waiting === 0) this.#canceled?.abort()
  }

  #answered({ answers, sizes }: GroupAnswer): GroupOutcome {
    const calls = this.#operations
    if (answers.length !== calls.length) {
      throw protocolError(`${calls.length} answers expected, got ${answers.length}`)
    }
    for (let index = 0; index < calls.length; index += 1) {
      const call = calls[index]
      const answer = answers[index]
      if (call !== undefined && answer !== undefined) this.#answer(call, answer, sizes[index] ?? 0)
    }
    return { kind: 'answered', responseBytes: this.#context.progress.responseBytes }
  }

  #answer(call: BatchedCall, answer: OperationAnswer, bytes: number): void {
    for (const twin of call.twins) twin.answer(this.#kind.copyAnswer(answer), bytes)
    call.answer(answer, bytes)
  }

  #failed(error: unknown): GroupOutcome {
    const left = callers(this.#operations).filter(({ isSettled }) => !isSettled)
    if (this.#mayBeOnes(error)) return { kind: 'refused', error, rest: Promise.all(left.map(this.#sendAlone)) }
    for (const call of left) {
      if (this.#outlasts(call, error)) void this.#sendAlone(call)
      else call.fail(error)
    }
    return { kind: 'failed' }
  }

  /** Whether the call came when the group was under way, and has time left where that had none. */
  #outlasts({ context }: BatchedCall, error: unknown): boolean {
    const hasTime = context.deadlineAt > this.#context.deadlineAt + sameDeadlineMs
    return hasTime && isEtcdError(error, 'DEADLINE_EXCEEDED')
  }

  readonly #sendAlone = (call: BatchedCall): Promise<unknown> => call.sendAlone(this.#inner)

  /** Whether the error may be about one operation, and nothing was done for any. */
  #mayBeOnes(error: unknown): boolean {
    if (this.#operations.length === 1) return false
    if (!isEtcdError(error) || error.retryable || sharedReasons.has(error.code)) return false
    return this.#context.repeatable || error.effect === 'none'
  }

  /** Ends the wait of those whose time is over before the group's. */
  #watchDeadlines(): void {
    clearTimeout(this.#timer)
    const last = this.#context.deadlineAt - sameDeadlineMs
    let next = Number.POSITIVE_INFINITY
    for (const { isSettled, context } of callers(this.#operations)) {
      if (!isSettled && context.deadlineAt < last) next = Math.min(next, context.deadlineAt)
    }
    if (next === Number.POSITIVE_INFINITY) return
    const delayMs = Math.min(longestTimerMs, Math.max(0, next - performance.now()))
    this.#timer = setTimeout(() => this.#expire(), delayMs)
  }

  #expire(): void {
    const now = performance.now()
    for (const call of callers(this.#operations)) {
      if (!call.isSettled && call.context.deadlineAt <= now) call.expire()
    }
    this.#watchDeadlines()
  }
}

function callers(calls: readonly BatchedCall[]): readonly BatchedCall[] {
  return calls.some(({ twins }) => twins.length > 0) ? calls.flatMap((call) => [call, ...call.twins]) : calls
}
