import type { KeyRange } from '../core/key-range.js'
import type { InformerSource } from './informer-options.js'

/** What an informer currently shows. */
export interface Shown {
  readonly revision: number
  /** Number of keys in the range at that revision. */
  readonly keyCount: number
  /** Whether that belongs to the current history of the cluster. */
  readonly isCurrent: boolean
}

const lastWritten = { sort: { target: 'modRevision', order: 'descend' }, limit: 1, keysOnly: true } as const

/**
 * Finds out by a read how far an informer has got, if the member of its watch does not report progress. If no key was
 * written after its revision and the number of keys is the same, nothing has happened; otherwise the events are on
 * their way.
 */
export class Probe {
  readonly #source: Pick<InformerSource, 'range'>
  readonly #range: KeyRange
  readonly #shown: () => Shown
  #running: Promise<number | undefined> | undefined

  constructor(source: Pick<InformerSource, 'range'>, range: KeyRange, shown: () => Shown) {
    this.#source = source
    this.#range = range
    this.#shown = shown
  }

  /** Returns the revision up to which nothing has happened; `undefined` if something has, or if the read failed. */
  run(): Promise<number | undefined> {
    this.#running ??= this.#read().finally(() => {
      this.#running = undefined
    })
    return this.#running
  }

  async #read(): Promise<number | undefined> {
    if (!this.#shown().isCurrent) return undefined
    try {
      const { kvs, count, revision } = await this.#source.range(this.#range, { ...lastWritten, mode: 'linearizable' })
      const shown = this.#shown()
      const isUnchanged = count === shown.keyCount && (kvs[0]?.modRevision ?? 0) <= shown.revision
      return isUnchanged && shown.isCurrent ? revision : undefined
    } catch {
      // The caller learns about the failure when its timeout elapses.
      return undefined
    }
  }
}
