import type { CallMetadata } from '../transport.js'
import { type TimeoutHeader, timeoutHeader } from './grpc-protocol.js'
import { HpackEncoder } from './hpack/encoder.js'
import { fieldBytes, type HeaderField } from './hpack/header-field.js'

/** A request: what its headers are made of, and its message. */
export interface RequestInit {
  readonly path: string
  readonly metadata: CallMetadata
  readonly deadlineAt: number
  /** The message of a call that has exactly one. */
  readonly message: Buffer | undefined
}

/** The headers of a recent call, which are probably those of the next one. */
interface CachedHeaders {
  readonly metadata: CallMetadata
  readonly timeout: TimeoutHeader
  readonly fields: readonly HeaderField[]
  readonly listBytes: number
  /** `undefined` if it must be encoded again. */
  block: Buffer | undefined
  /** The encoder's `changes` for which the block is valid. */
  changes: number
}

/** The number of different metadata and timeouts that are cached for each method. */
const maxCachedPerPath = 4

/**
 * Tokens are never indexed. The table of this connection is not shared with anyone, but a proxy may forward indexed fields over
 * a connection that several clients share, where the size of one client's headers could reveal another client's token
 * (RFC 7541, section 7.1). A literal costs a copy of some bytes for each call.
 */
const secretNames: ReadonlySet<string> = new Set(['token', 'authorization'])

/**
 * The header blocks of one connection's calls. After the first call of a method, every field is in the dynamic table, and the
 * block takes some ten bytes, which are encoded once and reused.
 */
export class RequestHeaders {
  readonly #encoder = new HpackEncoder((name) => secretNames.has(name))
  readonly #common: readonly HeaderField[]
  readonly #cache = new Map<string, CachedHeaders[]>()

  /** `common` are the fields of all calls, without `:path`. */
  constructor(common: readonly HeaderField[]) {
    this.#common = common
  }

  /** The peer allows a dynamic table of this size. */
  allowTable(bytes: number): void {
    this.#encoder.allow(bytes)
  }

  /**
   * The header block for a call, which must be the next one that is sent, since later blocks depend on it. `undefined` if the
   * header list exceeds `maxListBytes`.
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
