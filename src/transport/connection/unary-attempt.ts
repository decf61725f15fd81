import { EtcdError } from '../../core/errors.js'
import type { ResponseHeader } from '../../protobuf/generated/messages.js'
import type { Method } from '../../protobuf/methods.js'
import { progressOf } from '../call-progress.js'
import type { CallListener, CallStatus, ChannelCall, UnaryChannel } from '../channel.js'
import { toEtcdError } from '../grpc-status.js'
import type { CallContext } from '../transport.js'

/** The connection of an attempt, as far as the attempt needs it. */
export interface AttemptOwner {
  readonly url: string
  /** The attempt has ended; called once, before its promise settles. */
  ended(attempt: UnaryAttempt): void
  /** The member has responded. An error returned here fails the call. */
  answered(attempt: UnaryAttempt, header: ResponseHeader | undefined): EtcdError | undefined
  /** The attempt failed, and was not aborted or cancelled by this client. */
  failed(error: EtcdError): void
}

const okStatus = 0
const cancelledStatus = 1
const internalStatus = 13
const unavailableStatus = 14

/**
 * One attempt of a unary call on one connection. It is the listener of the channel itself, so that a call costs one object and
 * one promise.
 */
export class UnaryAttempt<Request = unknown, Response = unknown> implements CallListener {
  readonly method: Method<Request, Response>
  readonly context: CallContext
  readonly sentAt: number
  /** The cluster's revision when the call was sent, which a linearizable response may not fall below. */
  readonly minRevision: number
  readonly #owner: AttemptOwner
  #call: ChannelCall | undefined
  #message: Buffer | undefined
  /** Set for calls with a signal only, which are few. */
  #onAbort: (() => void) | undefined
  #resolve: ((response: Response) => void) | undefined
  #reject: ((reason: unknown) => void) | undefined

  constructor(owner: AttemptOwner, method: Method<Request, Response>, context: CallContext, minRevision: number) {
    this.#owner = owner
    this.method = method
    this.context = context
    this.minRevision = minRevision
    this.sentAt = performance.now()
  }

  /** Sends `message`. Settles once: with the response, an `EtcdError`, or the reason of the caller's abort. */
  run(channel: UnaryChannel, message: Buffer): Promise<Response> {
    return new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
      const { deadlineAt, signal, progress } = this.context
      if (signal !== undefined) this.#listenTo(signal)
      try {
        this.#call = channel.startUnary(this.method.path, message, progress.metadata, deadlineAt, this)
      } catch (error) {
        // A channel throws if it was closed, among others.
        this.#detach()
        const details = `Channel closed before call started: ${String(error)}`
        reject(this.#failure({ code: unavailableStatus, details, sent: false }))
      }
    })
  }

  /** Cancels the attempt: it rejects with `reason` now, and the stream is reset. */
  cancel(reason: unknown): void {
    const reject = this.#reject
    if (reject === undefined) return
    this.#detach()
    reject(reason)
    this.#call?.cancelWithStatus(cancelledStatus, 'cancelled')
  }

  onReceiveMetadata(): void {}

  onReceiveMessage(message: Buffer): void {
    this.#message = message
  }

  onReceiveStatus(status: CallStatus): void {
    const resolve = this.#resolve
    const reject = this.#reject
    if (resolve === undefined || reject === undefined) return
    this.#detach()
    try {
      resolve(this.#response(status))
    } catch (error) {
      reject(error)
    }
  }

  #response(status: CallStatus): Response {
    if (status.code !== okStatus || this.#message === undefined) throw this.#failure(status)
    const response = this.method.decode(this.#message)
    progressOf.wire(this.context).responseBytes = this.#message.length
    const header = headerOf(response)
    // An empty message decodes as a success. Servers other than etcd may send one.
    if (header === undefined && alwaysHasHeader(this.method)) throw this.#withoutHeader()
    const refused = this.#owner.answered(this as UnaryAttempt, header)
    if (refused !== undefined) throw refused
    return response
  }

  #listenTo(signal: AbortSignal): void {
    this.#onAbort = () => this.cancel(signal.reason)
    signal.addEventListener('abort', this.#onAbort, { once: true })
  }

  #detach(): void {
    this.#resolve = undefined
    this.#reject = undefined
    if (this.#onAbort !== undefined) this.context.signal?.removeEventListener('abort', this.#onAbort)
    this.#owner.ended(this as UnaryAttempt)
  }

  #withoutHeader(): EtcdError {
    return new EtcdError('the response has no header: the server is not an etcd member', {
      code: 'PROTOCOL_ERROR',
      effect: 'unknown',
      method: this.method.name,
      endpoint: this.#owner.url,
    })
  }

  #failure(status: CallStatus): EtcdError {
    const error = toEtcdError(
      status.code === okStatus ? { code: internalStatus, details: 'the response has no message' } : status,
      {
        method: this.method.name,
        endpoint: this.#owner.url,
        // Calls start on connected channels only, so every attempt may have reached the member unless the channel knows better.
        sent: status.sent !== false,
        deadlineAt: this.context.deadlineAt,
        now: performance.now(),
      },
    )
    this.#owner.failed(error)
    return error
  }
}

/**
 * Whether every release of etcd, and its proxies, answer a call with a header. 3.4 leaves it out of some responses of the
 * maintenance service, such as the list of alarms.
 */
function alwaysHasHeader({ name }: { readonly name: string }): boolean {
  return name.startsWith('KV.')
}

/** The header that nearly every response of etcd has. */
function headerOf(response: unknown): ResponseHeader | undefined {
  return (response as { readonly header?: ResponseHeader | undefined }).header
}
