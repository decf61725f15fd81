import type { Keyspace, KeyValue, WatchBatch, WatchEvent } from '../../src/index.js'

/** A change as history shows it: what the key holds since then, and what it held before. */
export interface HistoricChange {
  readonly revision: number
  readonly key: string
  readonly type: 'put' | 'delete'
  readonly value: string
  readonly before: string | undefined
}

/** What one watch had to deliver, and what it delivered. */
export interface WatchRecord {
  readonly name: string
  /** The first revision that it had to deliver. */
  readonly from: number
  /** The last revision that it had to deliver. @default the last one of the history */
  readonly to?: number | undefined
  readonly only?: 'put' | 'delete' | undefined
  readonly prevKv?: boolean | undefined
  readonly batches: readonly WatchBatch[]
}

/**
 * The changes of a prefix, read back revision by revision without the help of a watch. What is going to be compacted has
 * to be read before.
 */
export class History {
  readonly changes: HistoricChange[] = []
  readonly #kv: Pick<Keyspace, 'range'>
  readonly #prefix: string
  #revision: number
  readonly #state = new Map<string, string>()

  /** `revision` is one at which there were no keys with the prefix. */
  constructor(kv: Pick<Keyspace, 'range'>, prefix: string, revision: number) {
    this.#kv = kv
    this.#prefix = prefix
    this.#revision = revision
  }

  /** Everything up to this revision was read. */
  get revision(): number {
    return this.#revision
  }

  /** Reads everything up to and with `revision`. */
  async readTo(revision: number): Promise<void> {
    while (this.#revision < revision) {
      const count = Math.min(16, revision - this.#revision)
      const ranges = Array.from({ length: count }, (_, index) => this.#readAt(this.#revision + 1 + index))
      for (const state of await Promise.all(ranges)) this.#step(state)
    }
  }

  /** The keys that there are at a revision, and the values of those that it wrote. */
  async #readAt(revision: number): Promise<readonly KeyValue[]> {
    const options = { revision, timeoutMs: 20_000 }
    const [keys, written] = await Promise.all([
      this.#kv.range({ prefix: this.#prefix }, { ...options, keysOnly: true }),
      this.#kv.range({ prefix: this.#prefix }, { ...options, minModRevision: revision }),
    ])
    return [...keys.kvs.filter(({ modRevision }) => modRevision < revision), ...written.kvs]
  }

  #step(kvs: readonly KeyValue[]): void {
    const revision = this.#revision + 1
    const keys = new Set(kvs.map(({ keyText }) => keyText))
    for (const { modRevision, keyText, valueText } of kvs) {
      if (modRevision !== revision) continue
      this.changes.push({ revision, key: keyText, type: 'put', value: valueText, before: this.#state.get(keyText) })
      this.#state.set(keyText, valueText)
    }
    for (const [key, before] of this.#state) {
      if (keys.has(key)) continue
      this.changes.push({ revision, key, type: 'delete', value: '', before })
      this.#state.delete(key)
    }
    this.#revision = revision
  }
}

/** A sentence for each promise that a watch has broken. */
export function watchViolations(
  { name, from, to = Number.POSITIVE_INFINITY, only, prevKv, batches }: WatchRecord,
  changes: readonly HistoricChange[],
): string[] {
  const expected = changes.filter(
    ({ revision, type }) => revision >= from && revision <= to && (only === undefined || only === type),
  )
  const events = batches.flatMap((batch) => batch.events)
  return [
    ...orderViolations(batches),
    ...differences(
      expected.map((change) => describeChange(change, prevKv === true)),
      events.map((event) => describeEvent(event, prevKv === true)),
    ),
  ].map((violation) => `${name}: ${violation}`)
}

/** Revisions rise from batch to batch, a bookmark included: nothing comes twice, late, or in parts. */
function orderViolations(batches: readonly WatchBatch[]): string[] {
  return batches.flatMap(({ revision, events }, index) => {
    const before = batches[index - 1]
    const isBehind = before !== undefined && revision <= before.revision
    const isMixed = events.some((event) => event.revision !== revision)
    return [
      ...(isBehind ? [`revision ${revision} comes after ${before.revision}`] : []),
      ...(isMixed ? [`the batch of revision ${revision} holds others`] : []),
    ]
  })
}

function differences(expected: readonly string[], delivered: readonly string[]): string[] {
  const [wanted, seen] = [new Set(expected), new Set(delivered)]
  const few = (items: readonly string[], what: string): string[] =>
    items.length === 0 ? [] : [`${items.length} ${what}, such as ${items.slice(0, 3).join('; ')}`]
  return [
    ...few(
      expected.filter((change) => !seen.has(change)),
      'are missing',
    ),
    ...few(
      delivered.filter((change) => !wanted.has(change)),
      'have not happened',
    ),
    ...(delivered.length === seen.size ? [] : [`${delivered.length - seen.size} came twice`]),
  ]
}

function describeChange({ revision, key, type, value, before }: HistoricChange, prevKv: boolean): string {
  return `${revision} ${type} ${key} ${digest(value)}${prevKv ? ` before ${digest(before)}` : ''}`
}

function describeEvent({ revision, type, keyText, valueText, prevKv: before }: WatchEvent, prevKv: boolean): string {
  return `${revision} ${type} ${keyText} ${digest(valueText)}${prevKv ? ` before ${digest(before?.valueText)}` : ''}`
}

function digest(value: string | undefined): string {
  return value === undefined ? 'none' : `${value.slice(0, 20)}(${value.length})`
}

/** Collects the batches of a watch until one of `revision` or a later one. */
export async function collectTo(watcher: AsyncIterable<WatchBatch>, revision: number): Promise<WatchBatch[]> {
  const batches: WatchBatch[] = []
  for await (const batch of watcher) {
    batches.push(batch)
    if (batch.revision >= revision) break
  }
  return batches
}
