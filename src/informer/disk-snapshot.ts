import { readFileSync, realpathSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import type { Codec } from '../core/codec.js'
import { InvalidArgumentError } from '../core/errors.js'
import type { EncodedRange } from '../core/key-range.js'
import { putInPlace } from '../core/put-in-place.js'
import type { Entry } from './entry.js'
import type { InformerSnapshot } from './snapshot.js'

/** Whose keys a file holds. */
export interface DiskOwner {
  /** The keys, with the prefix of their namespace. */
  readonly range: EncodedRange
  /** The user whose permissions they were read with, where the client has one. */
  readonly user: string | undefined
  /** The cluster, once a member has answered. */
  clusterId(): string | undefined
}

/** What an earlier process left, or why it cannot be used. */
export type Left<T> = LeftState<T> | { readonly error: unknown }

interface LeftState<T> {
  readonly revision: number
  /** The cluster whose keys they are: it may be another one than that which will answer. */
  readonly clusterId: string | undefined
  readonly entries: readonly Entry<T>[]
}

/** The file's form. Keys and values in base64. */
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

/** Changes are gathered for so long before the file is written. */
const gatherMs = 5000
/** Entries that are encoded and written before other work of the process gets its turn. */
const pieceLength = 500

/** The files of the informers of this process. */
const inUse = new Set<string>()

/** The state of an informer in a file, which is always whole: it is written beside and then put in place. */
export class DiskSnapshot<T> {
  readonly #path: string
  readonly #place: string
  readonly #owner: DiskOwner
  readonly #codec: Codec<T>
  readonly #onError: (error: unknown) => void
  #unsaved: { readonly snapshot: InformerSnapshot<T> } | undefined
  #timer: NodeJS.Timeout | undefined
  #writing = Promise.resolve()
  #closing: Promise<void> | undefined

  /** Throws `InvalidArgumentError` for a file that another informer of this process has. */
  constructor(path: string, owner: DiskOwner, codec: Codec<T>, onError: (error: unknown) => void) {
    this.#path = path
    this.#place = placeOf(path)
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

  /** What the file holds; `undefined` if there is none. */
  load(): Left<T> | undefined {
    try {
      const form = JSON.parse(readFileSync(this.#path, 'utf8')) as FileForm
      const foreign = this.#foreignPart(form)
      if (foreign !== undefined)
        throw new TypeError(`${this.#path} is not used: it holds the keys of another ${foreign}`)
      const entries = form.entries.map((stored) => this.#restored(stored))
      return { revision: form.revision, clusterId: form.clusterId ?? undefined, entries }
    } catch (error) {
      return isMissing(error) ? undefined : { error }
    }
  }

  #foreignPart({ format, range, user, clusterId }: FileForm): string | undefined {
    if (format !== 2) return 'release'
    if (range !== rangeText(this.#owner.range)) return 'range or namespace'
    if (user !== (this.#owner.user ?? null)) return 'user'
    const known = this.#owner.clusterId()
    return known !== undefined && clusterId !== known ? 'cluster' : undefined
  }

  /** Has the state written before long. */
  save(state: { readonly snapshot: InformerSnapshot<T> }): void {
    this.#unsaved = state
    this.#timer ??= setTimeout(() => this.#write(), gatherMs).unref()
  }

  /** Writes what is not written yet, and leaves the file to others. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    this.#write()
    await this.#writing
    inUse.delete(this.#place)
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
  *#pieces(snapshot: InformerSnapshot<T>): Generator<string, void, undefined> {
    const { range, user = null } = this.#owner
    const clusterId = this.#owner.clusterId() ?? null
    const { revision } = snapshot
    const head: FileForm = { format: 2, range: rangeText(range), user, clusterId, revision, entries: [] }
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
  return error instanceof Error && 'code' in error && error.code === 'ENOENT'
}

function rangeText({ key, rangeEnd }: EncodedRange): string {
  return `${key.toString('base64')} ${rangeEnd.toString('base64')}`
}

/** One text for all paths that lead to a file. */
function placeOf(path: string): string {
  const folder = dirname(resolve(path))
  try {
    return join(realpathSync(folder), basename(path))
  } catch {
    return join(folder, basename(path))
  }
}
