import type { ChaosRecord } from '../records.js'

/** The records of some kinds. */
export function of<Kind extends ChaosRecord['kind']>(
  records: readonly ChaosRecord[],
  ...kinds: readonly Kind[]
): Extract<ChaosRecord, { readonly kind: Kind }>[] {
  return records.filter((record): record is Extract<ChaosRecord, { readonly kind: Kind }> =>
    (kinds as readonly string[]).includes(record.kind),
  )
}

/** Items by a key of each, in their order. */
export function groupBy<Item, Key>(items: Iterable<Item>, keyOf: (item: Item) => Key): Map<Key, Item[]> {
  const groups = new Map<Key, Item[]>()
  for (const item of items) {
    const group = groups.get(keyOf(item))
    if (group === undefined) groups.set(keyOf(item), [item])
    else group.push(item)
  }
  return groups
}
