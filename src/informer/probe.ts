import type { KeyRange } from '../core/key-range.js'
import type { InformerSource } from './informer-options.js'

/** What an informer shows now. */
export interface Shown {
  readonly revision: number
  /** Keys that the range had then. */
  readonly keyCount: number
  /** Whether that belongs to the cluster as it is now. */
  readonly isCurrent: boolean
}

const lastWritten = { sort: { target: 'modRevision', order: 'descend' }, limit: 1, keysOnly: true } as const

/**
 * Finds out by a read how far an informer is, where the member of its watch does not report progress. If no key was written after what
 * it shows, and as many are there, then nothing has happened; if not, the events are on their way.
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

  /** The revision up to which nothing has happened; `undefined` where something has, or where that cannot be read now. */
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
      // A caller that waits hears of it when its time is over.
      return undefined
    }
  }
}
