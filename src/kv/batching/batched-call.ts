import { longestTimerMs } from '../../core/abort.js'
import { CompactedError, EtcdError } from '../../core/errors.js'
import type { Method } from '../../protobuf/methods.js'
import { absorbBatch } from '../../transport/call-progress.js'
import { encodeOnce } from '../../transport/encoding.js'
import type { CallContext, Transport } from '../../transport/transport.js'
import type { GroupOperation, OperationAnswer } from './group-txn.js'

/** A method whose calls can be operations of a transaction. */
export type OperationMethod = Method<unknown, OperationAnswer>

const none: readonly BatchedCall[] = []
const nothing = (): void => {}

/**
 * One caller's call on its way into a group and out of it. It settles once: with its answer, its error, the reason of its
 * own signal, or at its own deadline, whatever becomes of the others in the group.
 */
export class BatchedCall implements GroupOperation {
  readonly tag: GroupOperation['tag']
  /** Encoded when the call is made, so that the caller's buffers may change from then on. */
  readonly message: Buffer
  readonly method: OperationMethod
  readonly request: unknown
  readonly context: CallContext
  /** What the caller gets. */
  readonly settled: Promise<OperationAnswer>
  // The constructor of the promise sets both at once.
  #resolve: (answer: OperationAnswer) => void = nothing
  #reject: (reason: unknown) => void = nothing
  #isSettled = false
  /** The call of the group. */
  #carrier: CallContext | undefined
  #onLeave: (() => void) | undefined
  #twins: BatchedCall[] | undefined
  #onAbort: (() => void) | undefined
  #timer: NodeJS.Timeout | undefined

  /** Throws `InvalidArgumentError` for a request that the wire cannot hold. */
  constructor(method: OperationMethod, request: unknown, context: CallContext, tag: GroupOperation['tag']) {
    this.tag = tag
    this.message = encodeOnce(method, request, context)
    this.method = method
    this.context = context
    this.request = request
    this.settled = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
    if (context.signal !== undefined) this.#followSignal(context.signal)
  }

  /** Calls for the same that share this one's operation, each with an answer of its own. */
  get twins(): readonly BatchedCall[] {
    return this.#twins ?? none
  }

  addTwin(twin: BatchedCall): void {
    this.#twins ??= []
    this.#twins.push(twin)
  }

  get isSettled(): boolean {
    return this.#isSettled
  }

  /** Whether nobody waits for this operation any more. */
  get isAbandoned(): boolean {
    return this.#isSettled && (this.#twins === undefined || this.#twins.every((twin) => twin.isSettled))
  }

  /** Bounds the wait for the call to be sent, which may be long; once it is sent, the transport sees to its deadline. */
  queued(): void {
    if (this.#timer !== undefined || this.#isSettled) return
    const restMs = this.context.deadlineAt - performance.now()
    if (restMs <= longestTimerMs) this.#timer = setTimeout(() => this.expire(), restMs)
  }

  /** The wait is over. */
  taken(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
  }

  /** From now on it is a part of that call. `onLeave` is called when the caller gives up before the answer. */
  carriedBy(carrier: CallContext, onLeave: () => void): void {
    this.#carrier = carrier
    this.#onLeave = onLeave
  }

  /** Makes the call by itself. */
  async sendAlone(inner: Transport): Promise<OperationAnswer | undefined> {
    const excludedEndpoints = this.#carrier?.progress.failedEndpoints
    this.#leaveSignal()
    this.#leaveCarrier()
    const context = excludedEndpoints === undefined ? this.context : { ...this.context, excludedEndpoints }
    try {
      const answer = await inner.unary(this.method, this.request, context)
      this.#settle()
      this.#resolve(answer)
      return answer
    } catch (error) {
      this.#settle()
      this.#reject(error)
      return undefined
    }
  }

  answer(answer: OperationAnswer, responseBytes: number): void {
    if (!this.#settle(responseBytes)) return
    this.#resolve(answer)
  }

  /** Fails with an error of its own, as if the call had been made by itself. */
  fail(error: unknown): void {
    if (!this.#settle()) return
    this.#reject(error instanceof EtcdError ? this.#ownError(error) : error)
  }

  /** The caller's own time is over. */
  expire(): void {
    const carrier = this.#carrier
    const isSent = carrier !== undefined && carrier.progress.attempts > 0
    const error = new EtcdError(
      `the deadline passed ${isSent ? 'while the call was under way' : 'before the call was sent'}`,
      {
        code: 'DEADLINE_EXCEEDED',
        effect: isSent ? 'unknown' : 'none',
        endpoint: carrier?.progress.endpoint,
        method: this.method.name,
      },
    )
    this.fail(error)
    this.#onLeave?.()
  }

  /** Counts what the group went through as this call's own. */
  #leaveCarrier(responseBytes = 0): void {
    const carrier = this.#carrier
    if (carrier === undefined) return
    this.#carrier = undefined
    absorbBatch(this.context, carrier, responseBytes)
  }

  #followSignal(signal: AbortSignal): void {
    this.#onAbort = (): void => {
      if (!this.#settle()) return
      this.#reject(signal.reason)
      this.#onLeave?.()
    }
    signal.addEventListener('abort', this.#onAbort, { once: true })
  }

  #settle(responseBytes = 0): boolean {
    if (this.#isSettled) return false
    this.#isSettled = true
    this.#leaveSignal()
    this.#leaveCarrier(responseBytes)
    if (this.#timer !== undefined) this.taken()
    return true
  }

  #leaveSignal(): void {
    if (this.#onAbort !== undefined) this.context.signal?.removeEventListener('abort', this.#onAbort)
  }

  #ownError(error: EtcdError): EtcdError {
    const { rawMessage, code, effect, retryable, endpoint, grpcCode, cause } = error
    const init = { code, effect, retryable, endpoint, method: this.method.name, grpcCode, cause }
    if (!(error instanceof CompactedError)) return new EtcdError(rawMessage, init)
    return new CompactedError(rawMessage, { ...init, compactRevision: error.compactRevision })
  }
}
