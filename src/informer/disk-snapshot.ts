import { readFileSync } from 'node:fs'
import type { Codec } from '../core/codec.js'
import { encodeRange, type KeyRange } from '../core/key-range.js'
import { putInPlace } from '../core/put-in-place.js'
import type { Entry } from './entry.js'
import type { Snapshot } from './snapshot.js'

/** What an earlier process left, or why it cannot be used. */
export type Left<T> = { readonly revision: number; readonly entries: readonly Entry<T>[] } | { readonly error: unknown }

/** The file's form. Keys and values in base64. */
interface FileForm {
  readonly format: 1
  readonly range: string
  readonly revision: number
  readonly entries: readonly StoredEntry[]
}

interface StoredEntry extends Omit<Entry<unknown>, 'value' | 'id' | 'key' | 'lease'> {
  readonly key: string
  readonly value: string
  readonly lease?: string | undefined
}

/** Changes are gathered for so long before the file is written. */
const gatherMs = 5000
/** Entries that are encoded and written before other work of the process gets its turn. */
const pieceLength = 500

/** The state of an informer in a file, which is always whole: it is written beside and then put in place. */
export class DiskSnapshot<T> {
  readonly #path: string
  readonly #range: string
  readonly #codec: Codec<T>
  readonly #onError: (error: unknown) => void
  #unsaved: { readonly snapshot: Snapshot<T> } | undefined
  #timer: NodeJS.Timeout | undefined
  #writing = Promise.resolve()

  constructor(path: string, range: KeyRange, codec: Codec<T>, onError: (error: unknown) => void) {
    const { key, rangeEnd } = encodeRange(range)
    this.#path = path
    this.#range = `${key.toString('base64')} ${rangeEnd.toString('base64')}`
    this.#codec = codec
    this.#onError = onError
  }

  /** What the file holds; `undefined` if there is none. */
  load(): Left<T> | undefined {
    try {
      const form = JSON.parse(readFileSync(this.#path, 'utf8')) as FileForm
      if (form.format !== 1 || form.range !== this.#range) throw new TypeError(`${this.#path} is of another informer`)
      return { revision: form.revision, entries: form.entries.map((stored) => this.#restored(stored)) }
    } catch (error) {
      return isMissing(error) ? undefined : { error }
    }
  }

  /** Has the state written before long. */
  save(state: { readonly snapshot: Snapshot<T> }): void {
    this.#unsaved = state
    this.#timer ??= setTimeout(() => this.#write(), gatherMs).unref()
  }

  /** Writes what is not written yet. */
  async close(): Promise<void> {
    this.#write()
    await this.#writing
  }

  #write(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    const state = this.#unsaved
    this.#unsaved = undefined
    if (state === undefined) return
    const { snapshot } = state
    this.#writing = this.#writing
      .then(() => putInPlace(this.#path, this.#pieces(snapshot)))
      .catch((error: unknown) => this.#onError(error))
  }

  /** The file's text. The snapshot stays as it is for as long as writing takes. */
  *#pieces(snapshot: Snapshot<T>): Generator<string, void, undefined> {
    const head: FileForm = { format: 1, range: this.#range, revision: snapshot.revision, entries: [] }
    yield JSON.stringify(head).slice(0, -']}'.length)
    const entries = snapshot.list()
    for (let at = 0; at < entries.length; at += pieceLength) {
      const stored = entries.slice(at, at + pieceLength).map((entry) => this.#stored(entry))
      yield `${at === 0 ? '' : ','}${JSON.stringify(stored).slice(1, -1)}`
    }
    yield ']}'
  }

  #stored({ id, value, revision, createRevision, version, lease }: Entry<T>): StoredEntry {
    return {
      key: Buffer.from(id, 'latin1').toString('base64'),
      value: Buffer.from(this.#codec.encode(value)).toString('base64'),
      revision,
      createRevision,
      version,
      lease,
    }
  }

  #restored({ key, value, revision, createRevision, version, lease }: StoredEntry): Entry<T> {
    const bytes = Buffer.from(key, 'base64')
    const decoded = this.#codec.decode(Buffer.from(value, 'base64'))
    return {
      key: bytes.toString(),
      id: bytes.toString('latin1'),
      value: decoded,
      revision,
      createRevision,
      version,
      lease,
    }
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT'
}
