import type { CallMetadata } from '../transport.js'
import { type TimeoutHeader, timeoutHeader } from './grpc-protocol.js'
import { HpackEncoder } from './hpack/encoder.js'
import { fieldBytes, type HeaderField } from './hpack/header-field.js'

/** What the headers of a call are made of. */
export interface RequestInit {
  readonly path: string
  readonly metadata: CallMetadata
  readonly deadlineAt: number
  /** The message of a call that has exactly one. */
  readonly message: Buffer | undefined
}

/** The headers of a call that was made, which are most likely those of the next one. */
interface CachedHeaders {
  readonly metadata: CallMetadata
  readonly timeout: TimeoutHeader
  readonly fields: readonly HeaderField[]
  readonly listBytes: number
  /** `undefined` where it has to be encoded again. */
  block: Buffer | undefined
  /** The changes of the encoder that the block is good for. */
  changes: number
}

/** Calls of one method with this many different metadata and times to wait are known at a time. */
const maxCachedPerPath = 4

/**
 * Tokens are never indexed. A connection is this client's alone, and no header on it is chosen by anybody else, so that the
 * table gave nothing away here; but a proxy may send what it may index over a connection that it shares between clients,
 * and there the size of one's headers would reveal the token of another. A literal costs a copy of some bytes a call.
 */
const secretNames: ReadonlySet<string> = new Set(['token', 'authorization'])

/**
 * Header blocks for the calls of one connection. After the first call of a method every field is in the table that both
 * sides keep, and its block is some ten bytes, which are encoded once and used again.
 */
export class RequestHeaders {
  readonly #encoder = new HpackEncoder((name) => secretNames.has(name))
  readonly #common: readonly HeaderField[]
  readonly #cache = new Map<string, CachedHeaders[]>()

  /** `common` are the fields that all calls have; pseudo-headers first, and none of them is `:path`. */
  constructor(common: readonly HeaderField[]) {
    this.#common = common
  }

  /** The peer keeps a table of this size. */
  allowTable(bytes: number): void {
    this.#encoder.allow(bytes)
  }

  /**
   * The block for a call, which must be sent next: later ones rely on it. `undefined` where its headers take more than
   * `maxListBytes`.
   */
  block(path: string, metadata: CallMetadata, deadlineAt: number, maxListBytes: number): Buffer | undefined {
    const known = this.#find(path, metadata, deadlineAt)
    if (known.listBytes > maxListBytes) return undefined
    if (known.block !== undefined && known.changes === this.#encoder.changes) return known.block
    const before = this.#encoder.changes
    const block = this.#encoder.encode(known.fields)
    known.changes = this.#encoder.changes
    known.block = known.changes === before ? block : undefined
    return block
  }

  #find(path: string, metadata: CallMetadata, deadlineAt: number): CachedHeaders {
    const waitMs = deadlineAt - performance.now()
    const list = this.#cache.get(path)
    if (list === undefined) return this.#add(path, metadata, waitMs, [])
    for (const known of list) {
      const { overMs, maxMs } = known.timeout
      if (known.metadata === metadata && waitMs > overMs && waitMs <= maxMs) return known
    }
    return this.#add(path, metadata, waitMs, list)
  }

  #add(path: string, metadata: CallMetadata, waitMs: number, list: readonly CachedHeaders[]): CachedHeaders {
    const timeout = timeoutHeader(waitMs)
    const fields: HeaderField[] = [...this.#common.filter(isPseudo), [':path', path]]
    if (timeout.text !== undefined) fields.push(['grpc-timeout', timeout.text])
    fields.push(...this.#common.filter((field) => !isPseudo(field)), ...Object.entries(metadata))
    const listBytes = fields.reduce((sum, [name, value]) => sum + fieldBytes(name, value), 0)
    const known: CachedHeaders = { metadata, timeout, fields, listBytes, block: undefined, changes: 0 }
    this.#cache.set(path, [known, ...list.slice(0, maxCachedPerPath - 1)])
    return known
  }
}

function isPseudo([name]: HeaderField): boolean {
  return name.startsWith(':')
}
