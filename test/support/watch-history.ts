import type { Keyspace, WatchBatch, WatchEvent } from '../../src/index.js'

/** A change as history shows it: what the key holds since then, and what it held before. */
export interface HistoricChange {
  readonly revision: number
  readonly key: string
  readonly type: 'put' | 'delete'
  readonly value: string
  readonly before: string | undefined
}

/** What one watch was to tell, and what it did tell. */
export interface WatchRecord {
  readonly name: string
  /** The first revision that it was to tell of. */
  readonly from: number
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
  #state = new Map<string, string>()

  /** `revision` is one at which there were no keys with the prefix. */
  constructor(kv: Pick<Keyspace, 'range'>, prefix: string, revision: number) {
    this.#kv = kv
    this.#prefix = prefix
    this.#revision = revision
  }

  /** Reads everything up to and with `revision`. */
  async readTo(revision: number): Promise<void> {
    while (this.#revision < revision) {
      const count = Math.min(16, revision - this.#revision)
      const ranges = Array.from({ length: count }, (_, index) => this.#readAt(this.#revision + 1 + index))
      for (const state of await Promise.all(ranges)) this.#step(state)
    }
  }

  async #readAt(revision: number): Promise<Map<string, string>> {
    const { kvs } = await this.#kv.range({ prefix: this.#prefix }, { revision, timeoutMs: 20_000 })
    return new Map(kvs.map((kv) => [kv.keyText, `${kv.modRevision} ${kv.text}`]))
  }

  #step(state: Map<string, string>): void {
    const revision = this.#revision + 1
    for (const [key, stamped] of state) {
      const before = this.#state.get(key)
      if (before === stamped) continue
      this.changes.push({ revision, key, type: 'put', value: textOf(stamped), before: before && textOf(before) })
    }
    for (const [key, before] of this.#state) {
      if (!state.has(key)) this.changes.push({ revision, key, type: 'delete', value: '', before: textOf(before) })
    }
    this.#state = state
    this.#revision = revision
  }
}

/** A sentence for each promise that a watch has broken. */
export function watchViolations(
  { name, from, only, prevKv, batches }: WatchRecord,
  changes: readonly HistoricChange[],
): string[] {
  const expected = changes.filter(({ revision, type }) => revision >= from && (only === undefined || only === type))
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

function differences(expected: readonly string[], told: readonly string[]): string[] {
  const [wanted, seen] = [new Set(expected), new Set(told)]
  const few = (items: readonly string[], what: string): string[] =>
    items.length === 0 ? [] : [`${items.length} ${what}, such as ${items.slice(0, 3).join('; ')}`]
  return [
    ...few(
      expected.filter((change) => !seen.has(change)),
      'are missing',
    ),
    ...few(
      told.filter((change) => !wanted.has(change)),
      'have not happened',
    ),
    ...(told.length === seen.size ? [] : [`${told.length - seen.size} came twice`]),
  ]
}

function describeChange({ revision, key, type, value, before }: HistoricChange, prevKv: boolean): string {
  return `${revision} ${type} ${key} ${digest(value)}${prevKv ? ` before ${digest(before)}` : ''}`
}

function describeEvent({ revision, type, keyText, text, prevKv: before }: WatchEvent, prevKv: boolean): string {
  return `${revision} ${type} ${keyText} ${digest(text)}${prevKv ? ` before ${digest(before?.text)}` : ''}`
}

function digest(value: string | undefined): string {
  return value === undefined ? 'none' : `${value.slice(0, 20)}(${value.length})`
}

function textOf(stamped: string): string {
  return stamped.slice(stamped.indexOf(' ') + 1)
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
