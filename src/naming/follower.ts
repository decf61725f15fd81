import type { Informer } from '../informer/informer.js'
import type { ServiceEndpoint } from './endpoint-record.js'

/** Who follows the endpoints of a service. Nothing is called any more after the follower is closed. */
export interface EndpointListener {
  /** These are all endpoints now: first as soon as they are known, then after each change. */
  onEndpoints(endpoints: readonly ServiceEndpoint[]): void
  /** They could not be read. If not `terminal`, that is tried again, and what was told before stays the last that is known. */
  onError(error: unknown, terminal: boolean): void
}

/** Tells of the endpoints of a service as a whole, once for all changes that come together. */
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
    informer.on('ready', () => this.#tell())
    informer.on('change', () => this.#tell())
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

  #tell(): void {
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
