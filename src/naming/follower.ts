import { InvalidArgumentError } from '../core/errors.js'
import { describe } from '../core/validate.js'
import type { Informer } from '../informer/informer.js'
import type { ServiceEndpoint } from './endpoint-record.js'

/** Receives the endpoints of a service. Neither method is called after the subscription is closed. */
export interface EndpointListener {
  /** Called with the full list of endpoints when it is first known and after each change. */
  onEndpoints(endpoints: readonly ServiceEndpoint[]): void
  /** Called when the endpoints cannot be read. If not `terminal`, the client retries, and the last list stays valid. */
  onError(error: unknown, terminal: boolean): void
}

/** Rejects a listener without its two functions, which would be missed at the first change. */
export function checkEndpointListener(listener: unknown): void {
  const { onEndpoints, onError }: Partial<Record<string, unknown>> = Object(listener)
  if (typeof onEndpoints === 'function' && typeof onError === 'function') return
  const expected = 'must have the functions onEndpoints() and onError()'
  throw new InvalidArgumentError(`\`listener\` ${expected}, got ${describe(listener)}`)
}

/** Reports the full list of endpoints, once for all changes that arrive together. */
export class Follower {
  readonly #informer: Informer<Omit<ServiceEndpoint, 'name'>>
  readonly #prefix: string
  readonly #listener: EndpointListener
  #isPending = false
  #isClosed = false

  constructor(informer: Informer<Omit<ServiceEndpoint, 'name'>>, prefix: string, listener: EndpointListener) {
    this.#informer = informer
    this.#prefix = prefix
    this.#listener = listener
    informer.on('ready', () => this.#report())
    informer.on('change', () => this.#report())
    informer.on('invalid', ({ error }) => {
      if (!this.#isClosed) this.#listener.onError(error, false)
    })
    informer.on('error', ({ error, terminal }) => {
      if (!this.#isClosed) this.#listener.onError(error, terminal)
    })
  }

  close(): Promise<void> {
    this.#isClosed = true
    return this.#informer.close()
  }

  #report(): void {
    if (this.#isPending) return
    this.#isPending = true
    setImmediate(() => {
      this.#isPending = false
      if (!this.#isClosed) this.#listener.onEndpoints(this.#endpoints())
    })
  }

  #endpoints(): ServiceEndpoint[] {
    return this.#informer.list().map(({ keyText, value }) => ({ name: keyText.slice(this.#prefix.length), ...value }))
  }
}
