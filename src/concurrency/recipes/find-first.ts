import type { KeyValue } from '../../core/key-value.js'
import { range } from '../../kv/operation.js'
import type { Sort } from '../../kv/requests.js'
import type { CallOptions } from '../../transport/transport.js'
import { isOfForm, type KeyForm, numbered } from './key-form.js'
import type { RecipeStore } from './recipe-host.js'

/** Keys of one form in one folder, in an order. */
export interface FormedKeys {
  readonly folder: string
  readonly form: KeyForm
  readonly sort: Sort
}

/** The first of some keys, and the revision at which it was. */
export interface Found {
  readonly found: KeyValue | undefined
  readonly revision: number
}

/** So many keys more are read where none of those that were read is one that is looked for. */
const growth = 8

/**
 * Finds the first key of a form, of which `skipped` are passed over. One read of one key does, unless other recipes have keys
 * among them.
 */
export async function findFirst(
  store: Pick<RecipeStore, 'txn'>,
  { folder, form, sort }: FormedKeys,
  bounds: () => CallOptions,
  skipped: { readonly size: number; has(kv: KeyValue): boolean } = none,
): Promise<Found> {
  for (let limit = skipped.size + 1; ; limit *= growth) {
    const keys = range(numbered(folder), { limit, sort })
    const { responses, revision } = await store.txn().then(keys).commit(bounds())
    const found = responses[0]?.kvs.find((kv) => isOfForm(form, folder, kv) && !skipped.has(kv))
    if (found !== undefined || responses[0]?.more !== true) return { found, revision }
  }
}

const none = { size: 0, has: () => false }
