import { bytes, type Codec, text } from '../core/codec.js'
import { covers, type EncodedRange, isOpenEnd, successor } from '../core/key-range.js'
import { KeyValue } from '../core/key-value.js'
import type { Entry } from '../informer/entry.js'
import type { Informer } from '../informer/informer.js'
import type { InformerOptions } from '../informer/informer-options.js'
import type { CachedRead, LocalCopy } from '../kv/reads/read-cache.js'
import { requestRange } from '../kv/wire-range.js'
import type { RangeRequest } from '../protobuf/generated/messages.js'

type AnyInformer = Pick<
  Informer<unknown, never>,
  'freshness' | 'invalid' | 'isCurrent' | 'revision' | 'snapshot' | 'stats' | 'waitForRevision'
>

const catchUpMs = 5000

/** Codecs that reproduce the exact bytes they decoded. */
const exact: ReadonlySet<unknown> = new Set([undefined, text, bytes])

/**
 * An informer as a source for reads of the mode `cached`; `undefined` if it does not keep keys unchanged. `range` is
 * the followed range, and `prefix` the part of it that the informer's keys lack.
 */
export function informerCopy<T, Name extends string>(
  informer: Informer<T, Name>,
  { codec, filter, transform }: InformerOptions<T, Name>,
  range: EncodedRange,
  prefix: Buffer,
): LocalCopy | undefined {
  if (!exact.has(codec) || filter !== undefined || transform !== undefined) return undefined
  // The codec decoded this value, so it can encode it.
  const encode = (codec ?? text).encode as Codec<unknown>['encode']
  return new InformerCopy(informer as unknown as AnyInformer, encode, range, prefix)
}

class InformerCopy implements LocalCopy {
  readonly range: EncodedRange
  readonly #informer: AnyInformer
  readonly #encode: Codec<unknown>['encode']
  readonly #prefix: Buffer
  #isCatchingUp = false
  readonly #askProgress = (): void => this.#informer.freshness.catchUp()

  constructor(informer: AnyInformer, encode: Codec<unknown>['encode'], range: EncodedRange, prefix: Buffer) {
    this.#informer = informer
    this.#encode = encode
    this.range = range.rangeEnd.length > 0 ? range : { key: range.key, rangeEnd: successor(range.key) }
    this.#prefix = prefix
  }

  confirm(range: EncodedRange): Promise<void> | undefined {
    const isAsked = covers(this.range, range) && this.#informer.stats().state === 'watching'
    return isAsked ? this.#informer.freshness.confirm() : undefined
  }

  answer(request: RangeRequest, revision: number): CachedRead | undefined {
    const informer = this.#informer
    if (!isPlain(request) || !covers(this.range, requestRange(request))) return undefined
    const { state, endpoint } = informer.stats()
    if (state !== 'watching' || !informer.isCurrent || informer.invalid().length > 0) return undefined
    if (informer.revision >= revision)
      return { ...this.#read(request), endpoint, isCutOff: !informer.freshness.isFresh, catchUp: this.#askProgress }
    this.#catchUp(revision)
    return undefined
  }

  /**
   * A write that changed nothing in the range (a deletion of an absent key, a revocation) produces no event to advance
   * the informer: request progress from the member.
   */
  #catchUp(revision: number): void {
    if (this.#isCatchingUp) return
    this.#isCatchingUp = true
    const done = (): void => {
      this.#isCatchingUp = false
    }
    this.#informer.waitForRevision(revision, { timeoutMs: catchUpMs }).then(done, done)
  }

  #read(request: RangeRequest): Pick<CachedRead, 'response' | 'bytes'> {
    const snapshot = this.#informer.snapshot()
    const { key, rangeEnd } = requestRange(request)
    const from = key.subarray(this.#prefix.length)
    const found = rangeEnd.length === 0 ? one(snapshot.get(from)) : snapshot.range(from, this.#end(rangeEnd))
    const { limit = 0, keysOnly, countOnly } = request
    const more = limit > 0 && found.length > limit
    const entries = more ? found.slice(0, limit) : found
    const kvs = countOnly === true ? [] : entries.map((entry) => this.#keyValue(entry, keysOnly === true))
    const header = { clusterId: undefined, memberId: undefined, revision: snapshot.revision, raftTerm: 0 }
    const size = kvs.reduce((sum, { key, value }) => sum + key.length + value.length, 0)
    return { response: { header, kvs, more: more && countOnly !== true, count: found.length }, bytes: size }
  }

  /** The end of a range relative to the informer's keys; an end behind the prefix is behind all of them. */
  #end(rangeEnd: Buffer): Buffer | undefined {
    const prefix = this.#prefix
    const isWithin = rangeEnd.length > prefix.length && rangeEnd.subarray(0, prefix.length).equals(prefix)
    return isOpenEnd(rangeEnd) || !isWithin ? undefined : rangeEnd.subarray(prefix.length)
  }

  #keyValue({ id, value, ...history }: Entry<unknown>, keysOnly: boolean): KeyValue {
    const encoded = keysOnly ? [] : this.#encode(value)
    return Object.assign(new KeyValue(), {
      key: Buffer.concat([this.#prefix, Buffer.from(id, 'latin1')]),
      // A copy, so that callers cannot change the informer's value.
      value: Buffer.from(encoded),
      createRevision: history.createRevision,
      modRevision: history.modRevision,
      version: history.version,
      lease: history.lease,
    })
  }
}

function one<T>(entry: T | undefined): readonly T[] {
  return entry === undefined ? [] : [entry]
}

/** Whether a read requests the current keys in key order. */
function isPlain(request: RangeRequest): boolean {
  const { revision, sortOrder, sortTarget } = request
  const { minModRevision, maxModRevision, minCreateRevision, maxCreateRevision } = request
  const bounds = [minModRevision, maxModRevision, minCreateRevision, maxCreateRevision, revision]
  return sortOrder === undefined && sortTarget === undefined && bounds.every((bound) => bound === undefined)
}
