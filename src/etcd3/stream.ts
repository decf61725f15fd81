import { EventEmitter } from 'node:events'
import { EtcdError, isEtcdError } from '../index.js'
import type { Method } from '../protobuf/methods.js'
import type { StreamSource } from '../streams/stream-source.js'
import type { StreamCall, StreamListener } from '../transport/connection/stream-call.js'
import { type CallOptions, timeLeft } from './call-options.js'
import { castError } from './cast-error.js'
import type { ServiceName } from './rpc/call-context.js'
import { toRequest } from './rpc/request.js'
import { toResponse } from './rpc/response.js'

/** What a stream is opened with. */
export interface StreamInit {
  readonly service: ServiceName
  readonly method: Method<object, object>
  readonly options: CallOptions
  /** The one request of a call that takes no more. */
  readonly request?: object | undefined
}

/** One stream as etcd3 gives it: it is not opened again. What is written before it is open is sent then. */
export class Stream extends EventEmitter implements StreamListener<object> {
  readonly #init: StreamInit
  readonly #abort = new AbortController()
  readonly #waiting: ((call: StreamCall<object, object>) => void)[] = []
  #call: StreamCall<object, object> | undefined
  #timer: NodeJS.Timeout | undefined
  #isOver = false

  constructor(source: StreamSource, init: StreamInit) {
    super()
    this.#init = init
    const { options, request } = init
    options.signal?.addEventListener('abort', () => this.cancel(), { once: true, signal: this.#abort.signal })
    if (options.signal?.aborted) this.cancel()
    if (options.deadline !== undefined) this.#endAt(options.deadline)
    this.#open(source).catch((error: unknown) => this.#fail(error))
    if (request !== undefined) {
      this.write(request)
      this.end()
    }
  }

  get writable(): boolean {
    return !this.#isOver
  }

  write(item: object): boolean {
    const request = toRequest(this.#init.method.name, item)
    this.#whenOpen((call) => call.send(request))
    return true
  }

  /** No further requests are sent; the member may go on answering. */
  end(): void {
    this.#whenOpen((call) => call.endRequests())
  }

  /** Ends the stream; nothing is emitted any more. */
  cancel(): void {
    this.#finish()
  }

  onMessage(response: object): void {
    this.emit('data', toResponse(this.#init.service, response))
  }

  onEnd(error: EtcdError | undefined): void {
    if (error === undefined) this.#end()
    else this.#fail(error)
  }

  onDraining(): void {}

  #end(): void {
    this.#finish()
    this.emit('status', { code: 0, details: '' })
    this.emit('end')
  }

  async #open(source: StreamSource): Promise<void> {
    const { method } = this.#init
    const opened = await source.open(method, this, { signal: this.#abort.signal })
    const call = opened.call as StreamCall<object, object>
    this.#call = call
    if (this.#isOver) call.cancel()
    for (const send of this.#waiting.splice(0)) send(call)
  }

  #whenOpen(send: (call: StreamCall<object, object>) => void): void {
    if (this.#isOver) return
    if (this.#call === undefined) this.#waiting.push(send)
    else send(this.#call)
  }

  #endAt(deadline: Date | number): void {
    const waitMs = timeLeft(deadline)
    if (!Number.isFinite(waitMs)) return
    const fields = { code: 'DEADLINE_EXCEEDED', effect: 'none', grpcCode: 4 } as const
    const error = new EtcdError('the stream lasted until its deadline', fields)
    this.#timer = setTimeout(() => this.#fail(error), Math.min(waitMs, 2 ** 31 - 1))
    this.#timer.unref()
  }

  #fail(error: unknown): void {
    if (this.#isOver) return
    this.#finish()
    const cast = castError(error, { service: this.#init.service })
    this.emit('status', { code: (isEtcdError(error) ? error.grpcCode : undefined) ?? 2, details: cast.message })
    // A stream that nobody listens to does not end the process when its client is closed.
    if (this.listenerCount('error') > 0 || !isEtcdError(error, 'CLOSED')) this.emit('error', cast)
  }

  #finish(): void {
    if (this.#isOver) return
    this.#isOver = true
    clearTimeout(this.#timer)
    this.#call?.cancel()
    this.#abort.abort()
  }
}
