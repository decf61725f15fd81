import { CompactedError, EtcdError } from '../../core/errors.js'
import { absorbBatch } from '../../transport/call-progress.js'
import type { Expiring } from '../../transport/deadline-clock.js'
import { encodeOnce } from '../../transport/encoding.js'
import type { CallContext, Transport } from '../../transport/transport.js'
import type { BatchOperation, EncodedOperation } from './batch-operation.js'

const noCalls: readonly never[] = []
const nothing = (): void => {}

/** Called when a call has settled, before its caller learns of it: with the response, or without one if it failed. */
export type OnSettled<Request, Response> = (request: Request, response: Response | undefined) => void

/**
 * One caller's call on its way into a batch and out of it. It settles once: with its response, its error, the reason of
 * its signal, or at its deadline, whatever happens to the other calls of the batch.
 */
export class BatchedCall<Request, Response> implements EncodedOperation, Expiring {
  readonly operation: BatchOperation<Request, Response>
  readonly request: Request
  readonly context: CallContext
  /** Encoded when the call is made, so that the caller's buffers may change from then on. */
  readonly message: Buffer
  /** What the caller gets. */
  readonly settled: Promise<Response>
  // The constructor of the promise sets both at once.
  #resolve: (response: Response) => void = nothing
  #reject: (reason: unknown) => void = nothing
  #isSettled = false
  /** The call of the batch. */
  #batch: CallContext | undefined
  #onLeave: (() => void) | undefined
  #coalesced: BatchedCall<Request, Response>[] | undefined
  #onAbort: (() => void) | undefined
  readonly #onSettled: OnSettled<Request, Response>

  /** @throws `InvalidArgumentError` for a request that cannot be encoded. */
  constructor(
    operation: BatchOperation<Request, Response>,
    request: Request,
    context: CallContext,
    onSettled: OnSettled<Request, Response> = nothing,
  ) {
    this.operation = operation
    this.request = request
    this.context = context
    this.message = encodeOnce(operation.method, request, context)
    this.#onSettled = onSettled
    this.settled = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
    if (context.signal !== undefined) this.#followSignal(context.signal)
  }

  /** Calls with the same request, which share this one's operation. */
  get coalesced(): readonly BatchedCall<Request, Response>[] {
    return this.#coalesced ?? noCalls
  }

  coalesce(call: BatchedCall<Request, Response>): void {
    this.#coalesced ??= []
    this.#coalesced.push(call)
  }

  get isSettled(): boolean {
    return this.#isSettled
  }

  /** Whether no caller waits for this operation any more. */
  get isAbandoned(): boolean {
    return this.#isSettled && (this.#coalesced === undefined || this.#coalesced.every((call) => call.isSettled))
  }

  get deadlineAt(): number {
    return this.context.deadlineAt
  }

  /** From now on it is a part of that batch. `onLeave` is called when the caller gives up before the response. */
  joinBatch(batch: CallContext, onLeave: () => void): void {
    this.#batch = batch
    this.#onLeave = onLeave
  }

  /** Makes the call outside of a batch. Resolves to whether it succeeded. */
  async sendAlone(transport: Transport): Promise<boolean> {
    const { operation, request } = this
    const excludedEndpoints = this.#batch?.progress.failedEndpoints
    this.#leaveSignal()
    this.#leaveBatch()
    const context = excludedEndpoints === undefined ? this.context : { ...this.context, excludedEndpoints }
    try {
      this.resolve(await transport.unary(operation.method, request, context))
      return true
    } catch (error) {
      this.#fail(error)
      return false
    }
  }

  resolve(response: Response, responseBytes = 0): void {
    if (this.#settle(response, responseBytes)) this.#resolve(response)
  }

  /** Fails with a new error of the same code, as if the call had been made outside of the batch. */
  reject(error: unknown): void {
    if (!this.#isSettled) this.#fail(this.#asOwn(error))
  }

  #fail(reason: unknown): void {
    if (this.#settle(undefined)) this.#reject(reason)
  }

  /** The caller's deadline has passed. */
  expire(): void {
    const progress = this.#batch?.progress
    const isSent = progress !== undefined && progress.attempts > 0
    const error = new EtcdError(
      `the deadline passed ${isSent ? 'while the call was in flight' : 'before the call was sent'}`,
      {
        code: 'DEADLINE_EXCEEDED',
        effect: isSent ? 'unknown' : 'none',
        endpoint: progress?.endpoint,
        method: this.operation.method.name,
      },
    )
    this.#fail(error)
    this.#onLeave?.()
  }

  /** Counts what the batch went through as this call's. */
  #leaveBatch(responseBytes = 0): void {
    const batch = this.#batch
    if (batch === undefined) return
    this.#batch = undefined
    absorbBatch(this.context, batch, responseBytes)
  }

  #followSignal(signal: AbortSignal): void {
    this.#onAbort = (): void => {
      if (this.#isSettled) return
      this.#fail(signal.reason)
      this.#onLeave?.()
    }
    signal.addEventListener('abort', this.#onAbort, { once: true })
  }

  #settle(response: Response | undefined, responseBytes = 0): boolean {
    if (this.#isSettled) return false
    this.#isSettled = true
    this.#leaveSignal()
    this.#leaveBatch(responseBytes)
    this.#onSettled(this.request, response)
    return true
  }

  #leaveSignal(): void {
    if (this.#onAbort !== undefined) this.context.signal?.removeEventListener('abort', this.#onAbort)
  }

  #asOwn(error: unknown): unknown {
    if (!(error instanceof EtcdError)) return error
    const { rawMessage, code, effect, retryable, endpoint, grpcCode, cause } = error
    const init = { code, effect, retryable, endpoint, method: this.operation.method.name, grpcCode, cause }
    if (!(error instanceof CompactedError)) return new EtcdError(rawMessage, init)
    return new CompactedError(rawMessage, { ...init, compactRevision: error.compactRevision })
  }
}
