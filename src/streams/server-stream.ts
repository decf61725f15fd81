import { onAbort } from '../core/abort.js'
import { EtcdError } from '../core/errors.js'
import { Deferred } from '../core/waiter.js'
import type { Method } from '../protobuf/methods.js'
import type { StreamListener } from '../transport/connection/stream-call.js'
import type { OpenStream, StreamSource } from './stream-source.js'

/** How many refused tokens in a row are replaced. */
const maxRefusals = 3

/** How a server stream is opened. */
export interface ServerStreamOptions {
  readonly signal?: AbortSignal | undefined
  /** The member to call. @default any healthy voting member */
  readonly endpoint?: string | undefined
}

/**
 * Iterates over the responses of a server stream, one at a time: flow control holds the member back while the consumer works.
 * A token that is refused before the first response is replaced; any other failure is thrown. Leaving the loop cancels the
 * stream.
 */
export async function* serverStream<Request, Response>(
  source: StreamSource,
  method: Method<Request, Response>,
  request: Request,
  { signal, endpoint }: ServerStreamOptions,
): AsyncGenerator<Response, void, undefined> {
  for (let refusals = 0; ; refusals += 1) {
    signal?.throwIfAborted()
    const reader = new StreamReader<Response>(signal)
    let open: OpenStream<Request, Response> | undefined
    try {
      open = await source.open(method, reader, { signal, endpoint })
      reader.opened(open as OpenStream)
      open.call.send(request)
      open.call.endRequests()
      const first = await reader.next()
      for (let answer = first; answer !== undefined; answer = await reader.next()) yield answer
      return
    } catch (error) {
      if (open === undefined || reader.hasAnswered || !(error instanceof EtcdError)) throw error
      if (!source.refused(open as OpenStream, error) || refusals === maxRefusals) throw error
    } finally {
      reader.close()
    }
  }
}

/** Holds at most the requested response, and one that was in flight when the stream was paused. */
class StreamReader<Response> implements StreamListener<Response> {
  readonly #removeListener: () => void
  readonly #answers: Response[] = []
  #open: OpenStream | undefined
  #waiter: Deferred<Response | undefined> | undefined
  #ending: { readonly error: unknown } | undefined
  hasAnswered = false

  constructor(signal: AbortSignal | undefined) {
    this.#removeListener = onAbort(signal, (reason) => {
      this.#open?.call.cancel()
      this.#end(reason)
    })
  }

  opened(open: OpenStream): void {
    this.#open = open
  }

  /** The next response; `undefined` at the end. */
  next(): Promise<Response | undefined> {
    const answer = this.#answers.shift()
    if (this.#answers.length === 0) this.#open?.call.resume()
    if (answer !== undefined) return Promise.resolve(answer)
    if (this.#ending !== undefined) {
      const { error } = this.#ending
      return error === undefined ? Promise.resolve(undefined) : Promise.reject(error)
    }
    this.#waiter = new Deferred()
    return this.#waiter.promise
  }

  close(): void {
    this.#removeListener()
    this.#open?.call.cancel()
  }

  onMessage(answer: Response): void {
    this.hasAnswered = true
    const waiter = this.#waiter
    this.#waiter = undefined
    if (waiter !== undefined) {
      waiter.resolve(answer)
      return
    }
    this.#answers.push(answer)
    this.#open?.call.pause()
  }

  onEnd(error: EtcdError | undefined): void {
    this.#end(error)
  }

  onDraining(): void {}

  #end(error: unknown): void {
    this.#ending = { error }
    const waiter = this.#waiter
    this.#waiter = undefined
    if (error === undefined) waiter?.resolve(undefined)
    else waiter?.reject(error)
  }
}
