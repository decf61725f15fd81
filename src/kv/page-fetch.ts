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
 */
export async function fetchPage<Page>(
  read: Read<Page>,
  { limit, isKnown }: PageSize,
  signal: AbortSignal,
): Promise<Fetch<Page>> {
  if (limit === 1) return outcome(read(limit, signal))
  const [whole, single] = [new AbortController(), new AbortController()]
  const onAbort = (): void => {
    for (const controller of [whole, single]) controller.abort(signal.reason)
  }
  if (signal.aborted) onAbort()
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    const page = outcome(read(limit, whole.signal))
    const patienceMs = isKnown ? largePageMs.known : largePageMs.unknown
    return (await within(patienceMs, page)) ?? (await firstPage(page, outcome(read(1, single.signal))))
  } finally {
    signal.removeEventListener('abort', onAbort)
    for (const controller of [whole, single]) controller.abort()
  }
}

function outcome<Page>(reading: Promise<Page>): Promise<Fetch<Page>> {
  return reading.then(
    (page) => ({ page }),
    (failure: unknown) => ({ failure }),
  )
}

/** A failure of the whole page is one of the page; that of the single key says nothing. */
function firstPage<Page>(whole: Promise<Fetch<Page>>, single: Promise<Fetch<Page>>): Promise<Fetch<Page>> {
  return Promise.race([whole, single.then((fetch) => ('page' in fetch ? fetch : whole))])
}

/** What came within so many milliseconds. */
function within<T>(ms: number, promise: Promise<T>): Promise<T | undefined> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(undefined), ms)
    void promise.then((value) => {
      clearTimeout(timer)
      resolve(value)
    })
  })
}
