import type { KeyValue } from '../../core/key-value.js'
import { range } from '../../kv/operation.js'
import type { Sort } from '../../kv/requests.js'
import type { CallOptions } from '../../transport/transport.js'
import type { KeyStore } from '../concurrency-host.js'
import { isOfForm, type KeyForm, numbered } from '../key-form.js'

/** Keys of one form in one folder, in an order. */
export interface FormedKeys {
  readonly folder: string
  readonly form: KeyForm
  readonly sort: Sort
}

/** The first of these keys, if any, as of a revision. */
export interface FindResult {
  readonly found: KeyValue | undefined
  readonly revision: number
}

/** If none of the keys that were read matches, this many times more are read. */
const growth = 8

/** Finds the first key of a form, without those in `skipped`. It reads a single key, unless other keys are among them. */
export async function findFirst(
  store: Pick<KeyStore, 'txn'>,
  { folder, form, sort }: FormedKeys,
  bounds: () => CallOptions,
  skipped: { readonly size: number; has(kv: KeyValue): boolean } = none,
): Promise<FindResult> {
  for (let limit = skipped.size + 1; ; limit *= growth) {
    const keys = range(numbered(folder), { limit, sort })
    const { responses, revision } = await store.txn().then(keys).commit(bounds())
    const found = responses[0]?.kvs.find((kv) => isOfForm(form, folder, kv) && !skipped.has(kv))
    if (found !== undefined || responses[0]?.more !== true) return { found, revision }
  }
}

const none = { size: 0, has: () => false }
