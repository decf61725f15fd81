/** A page, or the reason why it could not be read. */
export type Fetch<Page> = { readonly page: Page } | { readonly failure: unknown }

/** Reads a page of at most `limit` keys. */
type Read<Page> = (limit: number, signal: AbortSignal) => Promise<Page>

/** The time after which a page is assumed to be large, by whether the size of its keys is known. */
const largePageMs = { unknown: 1000, known: 4000 }

/** How many keys to read, and whether the number depends on the size of earlier keys. */
export interface PageSize {
  readonly limit: number
  readonly isKnown: boolean
}

/**
 * Reads a page. If it takes long, a single key is read beside it, because a page of large values may never arrive over a
 * slow link before its deadline. The first response is the page, and the other read is canceled. Never rejects.
 *
 * With a single `then`, the engine finds the caller's `await` behind it for the stacks of errors.
 */
export function fetchPage<Page>(read: Read<Page>, size: PageSize, signal: AbortSignal): Promise<Fetch<Page>> {
  const beside = new SingleKey(read, size, signal)
  return read(size.limit, beside.whole.signal).then(
    (page) => {
      beside.end()
      return { page }
    },
    (failure: unknown) => {
      beside.end()
      return beside.fetch ?? { failure }
    },
  )
}

/** The key that is read beside a page. Its failure does not affect the page. */
class SingleKey<Page> {
  /** Cancels the page. */
  readonly whole = new AbortController()
  fetch: Fetch<Page> | undefined
  readonly #single = new AbortController()
  readonly #read: Read<Page>
  readonly #signal: AbortSignal
  readonly #timer: NodeJS.Timeout | undefined

  constructor(read: Read<Page>, { limit, isKnown }: PageSize, signal: AbortSignal) {
    this.#read = read
    this.#signal = signal
    if (signal.aborted) this.#onAbort()
    signal.addEventListener('abort', this.#onAbort, { once: true })
    if (limit > 1) this.#timer = setTimeout(() => this.#start(), isKnown ? largePageMs.known : largePageMs.unknown)
  }

  end(): void {
    clearTimeout(this.#timer)
    this.#signal.removeEventListener('abort', this.#onAbort)
    this.#single.abort()
  }

  #start(): void {
    this.#read(1, this.#single.signal).then(
      (page) => {
        this.fetch = { page }
        this.whole.abort()
      },
      () => {},
    )
  }

  readonly #onAbort = (): void => {
    this.whole.abort(this.#signal.reason)
    this.#single.abort(this.#signal.reason)
  }
}
