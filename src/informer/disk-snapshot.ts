import { readFileSync, realpathSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import type { Codec } from '../core/codec.js'
import { InvalidArgumentError } from '../core/errors.js'
import type { EncodedRange } from '../core/key-range.js'
import { putInPlace } from '../core/put-in-place.js'
import { hasErrorCode } from '../core/thrown.js'
import type { Entry } from './entry.js'
import type { InformerSnapshot } from './snapshot.js'

/** The owner of the keys in a file. */
export interface DiskOwner {
  /** The range, including the prefix of the namespace. */
  readonly range: EncodedRange
  /** The prefix of the namespace, which the stored keys lack. */
  readonly namespace: Buffer
  /** The user that read the keys, if the client has one. */
  readonly user: string | undefined
  /** The cluster, once a member has responded. */
  clusterId(): string | undefined
}

/** The state to store, read when it is written. */
export interface UnsavedState<T> {
  readonly snapshot: InformerSnapshot<T>
  /** The cluster of the snapshot, which may not be the one that the client follows by now. */
  readonly clusterId: string | undefined
}

/** The state left by an earlier process, or why it cannot be used. */
export type StoredState<T> = ValidState<T> | { readonly error: unknown }

interface ValidState<T> {
  readonly revision: number
  /** The cluster of the stored keys, which may not be the one that responds later. */
  readonly clusterId: string | undefined
  readonly entries: readonly Entry<T>[]
}

/** The format of the file. Keys and values are base64. */
interface FileForm {
  readonly format: 2
  readonly range: string
  readonly user: string | null
  readonly clusterId: string | null
  readonly revision: number
  readonly entries: readonly StoredEntry[]
}

interface StoredEntry extends Omit<Entry<unknown>, 'value' | 'id' | 'keyText' | 'lease'> {
  readonly key: string
  readonly value: string
  readonly lease?: string | undefined
}

/** Delay between a change and writing the file, to combine changes. */
const gatherMs = 5000
/** Number of entries encoded and written before yielding to other work of the process. */
const pieceLength = 500

/** The files in use by informers of this process. */
const inUse = new Set<string>()

/**
 * Stores the state of an informer in a file. The file is always complete: it is written to a temporary file and then
 * renamed.
 */
export class DiskSnapshot<T> {
  readonly #path: string
  readonly #place: string
  readonly #owner: DiskOwner
  readonly #codec: Codec<T>
  readonly #onError: (error: unknown) => void
  #unsaved: UnsavedState<T> | undefined
  #timer: NodeJS.Timeout | undefined
  #writing = Promise.resolve()
  #closing: Promise<void> | undefined

  /** Throws `InvalidArgumentError` if another informer of this process uses the file. */
  constructor(path: string, owner: DiskOwner, codec: Codec<T>, onError: (error: unknown) => void) {
    this.#path = path
    this.#place = canonicalPath(path)
    this.#owner = owner
    this.#codec = codec
    this.#onError = onError
    if (inUse.has(this.#place)) {
      throw new InvalidArgumentError(
        `\`persist\` must be a file that no other informer of this process uses, got ${path}`,
      )
    }
    inUse.add(this.#place)
  }

  /** Reads the file; `undefined` if it does not exist. */
  load(): StoredState<T> | undefined {
    try {
      const form = JSON.parse(readFileSync(this.#path, 'utf8')) as FileForm
      const foreign = this.#foreignPart(form)
      if (foreign !== undefined)
        throw new TypeError(`${this.#path} is not used: it holds the keys of another ${foreign}`)
      const entries = form.entries.map((stored) => this.#restored(stored))
      if (!isConsistent(form.revision, entries)) throw new TypeError(`${this.#path} is not used: it is damaged`)
      return { revision: form.revision, clusterId: form.clusterId ?? undefined, entries }
    } catch (error) {
      return isMissing(error) ? undefined : { error }
    }
  }

  #foreignPart({ format, range, user, clusterId }: FileForm): string | undefined {
    if (format !== 2) return 'release'
    if (range !== rangeText(this.#owner)) return 'range or namespace'
    if (user !== (this.#owner.user ?? null)) return 'user'
    const known = this.#owner.clusterId()
    return known !== undefined && clusterId !== known ? 'cluster' : undefined
  }

  /** Schedules a write of the state. */
  save(state: UnsavedState<T>): void {
    this.#unsaved = state
    this.#timer ??= setTimeout(() => this.#write(), gatherMs).unref()
  }

  /** Writes pending state and releases the file. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    this.#write()
    await this.#writing
    inUse.delete(this.#place)
  }

  /** Writes that wait for a slow disk are combined: each writes the state of its beginning. */
  #write(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#writing = this.#writing.then(() => this.#put())
  }

  /** After a failure, the next change or `close()` writes again. */
  async #put(): Promise<void> {
    const state = this.#unsaved
    this.#unsaved = undefined
    if (state === undefined) return
    try {
      await putInPlace(this.#path, this.#pieces(state.snapshot, state.clusterId ?? null))
    } catch (error) {
      this.#unsaved ??= state
      this.#onError(error)
    }
  }

  /** The content of the file, piece by piece. The snapshot is immutable, so it stays consistent while it is written. */
  *#pieces(snapshot: InformerSnapshot<T>, clusterId: string | null): Generator<string, void, undefined> {
    const { user = null } = this.#owner
    const { revision } = snapshot
    const head: FileForm = { format: 2, range: rangeText(this.#owner), user, clusterId, revision, entries: [] }
    yield JSON.stringify(head).slice(0, -']}'.length)
    const entries = snapshot.list()
    for (let at = 0; at < entries.length; at += pieceLength) {
      const stored = entries.slice(at, at + pieceLength).map((entry) => this.#stored(entry))
      yield `${at === 0 ? '' : ','}${JSON.stringify(stored).slice(1, -1)}`
    }
    yield ']}'
  }

  #stored({ id, value, modRevision, createRevision, version, lease }: Entry<T>): StoredEntry {
    return {
      key: Buffer.from(id, 'latin1').toString('base64'),
      value: Buffer.from(this.#codec.encode(value)).toString('base64'),
      modRevision,
      createRevision,
      version,
      lease,
    }
  }

  #restored({ key, value, modRevision, createRevision, version, lease }: StoredEntry): Entry<T> {
    const bytes = Buffer.from(key, 'base64')
    const decoded = this.#codec.decode(Buffer.from(value, 'base64'))
    return {
      keyText: bytes.toString(),
      id: bytes.toString('latin1'),
      value: decoded,
      modRevision,
      createRevision,
      version,
      lease,
    }
  }
}

function isMissing(error: unknown): boolean {
  return hasErrorCode(error, 'ENOENT')
}

/** Whether the revision is one, and the entries are in key order, on which searches depend. */
function isConsistent(revision: number, entries: readonly Entry<unknown>[]): boolean {
  const isOrdered = entries.every(({ id }, index) => index === 0 || (entries[index - 1]?.id ?? '') < id)
  return Number.isSafeInteger(revision) && isOrdered
}

function rangeText({ range: { key, rangeEnd }, namespace }: DiskOwner): string {
  const parts = namespace.length === 0 ? [key, rangeEnd] : [key, rangeEnd, namespace]
  return parts.map((part) => part.toString('base64')).join(' ')
}

/** The canonical path of a file. */
function canonicalPath(path: string): string {
  const folder = dirname(resolve(path))
  try {
    return join(realpathSync(folder), basename(path))
  } catch {
    return join(folder, basename(path))
  }
}
