import { EtcdError } from '../../core/errors.js'
import type { Method } from '../../protobuf/methods.js'
import { progressOf } from '../call-progress.js'
import { encodeOnce } from '../encoding.js'
import { isBlockingCall, noStreamSlot } from '../stream-slots.js'
import type { CallContext, Transport } from '../transport.js'
import type { Connection } from './connection.js'
import type { ConnectionManager } from './connection-manager.js'

/** The innermost transport: sends each call once, on the connection that the manager picks. */
export class BaseTransport implements Transport {
  readonly #manager: ConnectionManager
  readonly #maxRequestBytes: number

  constructor(manager: ConnectionManager, maxRequestBytes: number) {
    this.#manager = manager
    this.#maxRequestBytes = maxRequestBytes
  }

  unary<Request, Response>(
    method: Method<Request, Response>,
    request: Request,
    context: CallContext,
  ): Promise<Response> {
    // Encoded first, so that the caller may change its buffers as soon as the call is made.
    const message = encodeOnce(method, request, context)
    if (message.length > this.#maxRequestBytes) return Promise.reject(this.#tooLarge(method, message))
    if (context.signal?.aborted === true) return Promise.reject(context.signal.reason)
    if (context.deadlineAt <= performance.now()) return Promise.reject(deadlineExceeded(method))
    const connection = this.#manager.pick(context)
    if (connection === undefined) return this.#waitAndSend(method, message, context)
    return this.#send(connection, method, message, context)
  }

  async #waitAndSend<Request, Response>(
    method: Method<Request, Response>,
    message: Buffer,
    context: CallContext,
  ): Promise<Response> {
    const connection = await this.#wait(context)
    context.signal?.throwIfAborted()
    // The token may belong to a cluster that was replaced meanwhile; members of the new one would never answer the call.
    if (this.#manager.hasStaleToken(context)) throw staleToken(method)
    return this.#send(connection, method, message, context)
  }

  #send<Request, Response>(
    connection: Connection,
    method: Method<Request, Response>,
    message: Buffer,
    context: CallContext,
  ): Promise<Response> {
    const chosen = isBlockingCall(method) ? this.#withStreamSlot(connection, context) : connection
    if (chosen === undefined) return Promise.reject(noStreamSlot(connection.streamSlots, 'call', connection.url, false))
    return send(chosen, method, message, context)
  }

  /** A call that blocks until another client acts must leave a slot for calls that do not. */
  #withStreamSlot(connection: Connection, { route }: CallContext): Connection | undefined {
    if (connection.streamSlots.hasForBlockingCall) return connection
    if (route.endpoint !== undefined) return undefined
    return this.#manager.connections.find(
      ({ state, role, streamSlots }) => state.kind === 'ready' && role !== 'learner' && streamSlots.hasForBlockingCall,
    )
  }

  async #wait(context: CallContext): Promise<Connection> {
    const waitingSince = performance.now()
    try {
      return await this.#manager.wait(context)
    } finally {
      progressOf.wire(context).connectMs += performance.now() - waitingSince
    }
  }

  #tooLarge(method: { readonly name: string }, message: Buffer): EtcdError {
    const sizes = `${message.length} bytes, over maxRequestBytes = ${this.#maxRequestBytes}`
    return new EtcdError(`request is too large: ${sizes}`, {
      code: 'REQUEST_TOO_LARGE',
      effect: 'none',
      method: method.name,
    })
  }
}

function send<Request, Response>(
  connection: Connection,
  method: Method<Request, Response>,
  message: Buffer,
  context: CallContext,
): Promise<Response> {
  const wire = progressOf.wire(context)
  wire.endpoint = connection.url
  wire.attempts += 1
  return connection.unary(method, message, context)
}

/** The same error as from a member that refuses the token: the call is retried with the current one. */
function staleToken(method: { readonly name: string }): EtcdError {
  return new EtcdError('the token was replaced while the call waited for a connection', {
    code: 'INVALID_AUTH_TOKEN',
    effect: 'none',
    retryable: true,
    method: method.name,
  })
}

function deadlineExceeded(method: { readonly name: string }): EtcdError {
  return new EtcdError('the deadline had passed before the call was sent', {
    code: 'DEADLINE_EXCEEDED',
    effect: 'none',
    method: method.name,
  })
}
