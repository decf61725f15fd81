import { isOpenEnd, prefixEnd, successor } from '../../core/key-range.js'
import type { Etcd, KeyRange, KeyValue } from '../../index.js'
import { cellOf } from '../key-value-format.js'
import type { KeysReport, LargeKey, PrefixReport } from './report.js'

/** Key spaces up to this size are read as a whole. */
const wholeKeys = 5000
const wholeBytes = 64 * 2 ** 20
/** Keys that are read of each prefix, to see how large they are. */
const sampleKeys = 100
/** Prefixes of one level that are looked at, and how many levels. */
const maxPrefixes = 200
const levels = 3
/** Where a prefix has less than this share of all keys, what is below it does not matter. */
const worthyShare = 0.1
const shownPrefixes = 20
const shownKeys = 10

/** How keys are looked at. */
export interface KeyLookOptions {
  /** What parts the names in a key. */
  readonly separator: string
  /** Reads every key, however many. */
  readonly deep: boolean
  /** Bytes in use in the database, which bound what reading everything costs. */
  readonly dbInUseBytes: number
  readonly signal: AbortSignal
}

/**
 * Finds the largest prefixes. A small key space is read as a whole. Of a large one the keys of each prefix are counted by
 * the members, level by level where it is worth it, and the bytes estimated by some keys of each. All reads are
 * serializable, in pages, one after the other.
 */
export async function lookAtKeys(etcd: Etcd, options: KeyLookOptions): Promise<KeysReport> {
  const total = await etcd.count({ prefix: '' }, { mode: 'serializable', signal: options.signal })
  const look = new KeyLook(etcd, options)
  const isWhole = options.deep || (total <= wholeKeys && options.dbInUseBytes <= wholeBytes)
  if (isWhole) await look.readAll()
  else await look.scan('', total, 1)
  return look.report(total, isWhole)
}

class KeyLook {
  readonly #etcd: Etcd
  readonly #options: KeyLookOptions
  readonly #prefixes = new Map<string, { keys: number; bytes: number }>()
  readonly #leases = new Set<string>()
  #largest: LargeKey[] = []
  #sampled = 0
  #withLease = 0

  constructor(etcd: Etcd, options: KeyLookOptions) {
    this.#etcd = etcd
    this.#options = options
  }

  async readAll(): Promise<void> {
    const { signal } = this.#options
    for await (const kv of this.#etcd.list({ prefix: '' }, { mode: 'serializable', onCompacted: 'restart', signal })) {
      this.#see(kv)
      for (const prefix of this.#prefixesOf(kv.key)) this.#add(prefix, 1, kv.key.length + kv.value.length)
    }
  }

  /** Looks at the prefixes one level below `parent`, then below those that hold much of it all. */
  async scan(parent: string, total: number, level: number): Promise<void> {
    const bytes = Buffer.from(parent, 'latin1')
    const end = parent === '' ? undefined : prefixEnd(bytes)
    const found: PrefixReport[] = []
    let from: Buffer = parent === '' ? Buffer.from([0]) : bytes
    for (let looks = 0; looks < maxPrefixes; looks += 1) {
      const page = await this.#page(end === undefined || isOpenEnd(end) ? { from } : { from, to: end })
      const [first] = page
      if (first === undefined) break
      for (const kv of page) this.#see(kv)
      const branch = this.#branchOf(first.key, parent.length)
      if (branch === undefined) {
        from = this.#afterLeaves(page, parent.length)
        continue
      }
      found.push(await this.#measure(branch, page))
      from = prefixEnd(Buffer.from(branch, 'latin1'))
      if (isOpenEnd(from)) break
    }
    for (const { prefix, keys } of found) {
      if (level < levels && keys > total * worthyShare) await this.scan(prefix, total, level + 1)
    }
  }

  report(total: number, isExact: boolean): KeysReport {
    const prefixes = [...this.#prefixes].map(([prefix, { keys, bytes }]) => ({
      prefix: cellOf(Buffer.from(prefix, 'latin1'), 80),
      keys,
      bytes: Math.round(bytes),
    }))
    const byKeys = prefixes.toSorted((a, b) => b.keys - a.keys).slice(0, shownPrefixes)
    const byBytes = prefixes.toSorted((a, b) => b.bytes - a.bytes).slice(0, shownPrefixes)
    return {
      total,
      isExact,
      prefixes: [...new Set([...byBytes, ...byKeys])],
      largest: this.#largest,
      sampled: this.#sampled,
      withLease: this.#withLease,
      distinctLeases: this.#leases.size,
    }
  }

  async #page(range: KeyRange): Promise<KeyValue[]> {
    const { signal } = this.#options
    return (await this.#etcd.range(range, { limit: sampleKeys, mode: 'serializable', signal })).kvs
  }

  async #measure(branch: string, page: readonly KeyValue[]): Promise<PrefixReport> {
    const prefix = Buffer.from(branch, 'latin1')
    const keys = await this.#etcd.count({ prefix }, { mode: 'serializable', signal: this.#options.signal })
    const own = page.filter(({ key }) => key.subarray(0, prefix.length).equals(prefix))
    const ownBytes = own.reduce((sum, { key, value }) => sum + key.length + value.length, 0)
    const bytes = own.length === 0 ? 0 : (ownBytes / own.length) * keys
    this.#add(branch, keys, bytes)
    return { prefix: branch, keys, bytes }
  }

  /** Where to go on behind the keys at the beginning of a page that lead no deeper. */
  #afterLeaves(page: readonly KeyValue[], from: number): Buffer {
    const next = page.findIndex(({ key }) => this.#branchOf(key, from) !== undefined)
    const last = page.at(next < 0 ? -1 : next - 1)
    return successor(last?.key ?? Buffer.alloc(0))
  }

  #see({ key, value, lease }: KeyValue): void {
    this.#sampled += 1
    if (lease !== undefined) {
      this.#withLease += 1
      this.#leases.add(lease)
    }
    const least = this.#largest.at(-1)?.bytes ?? -1
    if (this.#largest.length >= shownKeys && value.length <= least) return
    this.#largest = [...this.#largest, { key: cellOf(key, 100), bytes: value.length }]
      .sort((a, b) => b.bytes - a.bytes)
      .slice(0, shownKeys)
  }

  #add(prefix: string, keys: number, bytes: number): void {
    const found = this.#prefixes.get(prefix)
    if (found === undefined) this.#prefixes.set(prefix, { keys, bytes })
    else {
      found.keys += keys
      found.bytes += bytes
    }
  }

  /** The prefixes of a key, byte for byte, the shortest first. */
  #prefixesOf(key: Buffer): string[] {
    const prefixes: string[] = []
    for (let from = 0; prefixes.length < levels; ) {
      const branch = this.#branchOf(key, from)
      if (branch === undefined) break
      prefixes.push(branch)
      from = branch.length
    }
    return prefixes
  }

  /** The key up to the first separator behind `from` that is not at its very beginning, as in `/registry/`. */
  #branchOf(key: Buffer, from: number): string | undefined {
    const { separator } = this.#options
    const at = key.indexOf(separator, from === 0 ? 1 : from)
    return at < 0 ? undefined : key.toString('latin1', 0, at + Buffer.byteLength(separator))
  }
}
