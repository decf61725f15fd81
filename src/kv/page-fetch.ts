/** A page, or why it could not be read. */
export type Fetch<Page> = { readonly page: Page } | { readonly failure: unknown }

/** Reads a page of at most `limit` keys. */
type Read<Page> = (limit: number, signal: AbortSignal) => Promise<Page>

/** How long a page of keys whose size is not known may take until it is thought to be large, and one of known keys. */
const largePageMs = { unknown: 1000, known: 4000 }

/** How many keys to read, and whether that was chosen by the size of those before them. */
export interface PageSize {
  readonly limit: number
  readonly isKnown: boolean
}

/**
 * Reads a page. Beside one that takes long, a single key is read, which shows how large the values are: where they are
 * large and the link is slow, a page of many might not arrive before its deadline, ever. Whichever comes first is the page,
 * and the other one is canceled. Never rejects.
 *
 * With one `then` and no further handler, the engine finds the caller's `await` behind it for the stacks of errors.
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

/** The key that is read beside a page. A failure of that says nothing about the page. */
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
