import { KeyValue } from '../../src/core/key-value.js'
import type { PutResult, ResponseInfo } from '../../src/kv/results.js'
import { Txn } from '../../src/kv/txn.js'
import type { Compare, RequestOp, ResponseOp, TxnRequest, TxnResponse } from '../../src/protobuf/generated/messages.js'
import type { CallOptions } from '../../src/transport/transport.js'
import { WatchEvent } from '../../src/watch/watch-event.js'

/** Runs a transaction when it is called: the request has arrived. Fails or waits in place of the network. */
type Transit = (apply: () => TxnResponse, options: CallOptions) => TxnResponse | Promise<TxnResponse>

/** A keyspace in memory, with transactions of single keys. Watches show what the test emits. */
export class MemoryStore {
  revision = 1
  /** What happens to the next transactions; the others arrive and are answered. */
  readonly transits: Transit[] = []
  readonly #kvs = new Map<string, KeyValue>()
  readonly #listeners = new Set<(event: WatchEvent | Error) => void>()

  get(key: string): KeyValue | undefined {
    return this.#kvs.get(key)
  }

  /** Writes as another client does. */
  write(key: string, value: string, lease?: string): void {
    this.revision += 1
    this.#put(Buffer.from(key), Buffer.from(value), lease)
  }

  /** Deletes as another client does. */
  delete(key: string): void {
    this.revision += 1
    this.#kvs.delete(key)
  }

  /** Shows watches that a key was put, or deleted without a lease ID, at a revision. */
  emit(key: string, modRevision: number, lease?: string): void {
    const kv = Object.assign(new KeyValue(), { key: Buffer.from(key), modRevision, lease })
    const event = new WatchEvent(lease === undefined ? 'delete' : 'put', kv, undefined)
    for (const listener of this.#listeners) listener(event)
  }

  /** Loses all keys and all watches, and begins with revision 1 again. */
  reset(): void {
    this.revision = 1
    this.#kvs.clear()
    const listeners = [...this.#listeners]
    this.#listeners.clear()
    for (const listener of listeners) listener(new Error('the watch was lost'))
  }

  async put(
    key: Uint8Array | string,
    value: Uint8Array | string,
    { lease }: { readonly lease: string },
  ): Promise<PutResult> {
    this.revision += 1
    this.#put(Buffer.from(key), Buffer.from(value), lease)
    return { ...this.#info(), prevKv: undefined }
  }

  txn(): Txn {
    return new Txn(async (request, options) => {
      const transit = this.transits.shift() ?? ((apply) => apply())
      const response = await transit(() => this.#apply(request), options ?? {})
      return { info: this.#info(), response }
    })
  }

  async *watch(_range: unknown, { signal }: { readonly signal?: AbortSignal | undefined }): AsyncGenerator<WatchEvent> {
    const events: WatchEvent[] = []
    let failure: Error | undefined
    let wake = (): void => {}
    const listener = (event: WatchEvent | Error): void => {
      if (event instanceof Error) failure = event
      else events.push(event)
      wake()
    }
    this.#listeners.add(listener)
    signal?.addEventListener('abort', () => wake())
    while (signal?.aborted !== true) {
      yield* events.splice(0)
      if (failure !== undefined) throw failure
      await new Promise<void>((resolve) => {
        wake = resolve
      })
    }
    throw signal.reason
  }

  #apply({ compare = [], success = [], failure = [] }: TxnRequest): TxnResponse {
    const succeeded = compare.every((one) => this.#holds(one))
    const operations = succeeded ? success : failure
    if (operations.some(({ requestRange }) => requestRange === undefined)) this.revision += 1
    return { header: undefined, succeeded, responses: operations.map((operation) => this.#run(operation)) }
  }

  #holds({ key, target, ...expected }: Compare): boolean {
    const { version = 0, createRevision = 0, modRevision = 0, lease = '0' } = this.#kvs.get(String(key)) ?? {}
    if (target === 'VERSION') return version === expected.version
    if (target === 'CREATE') return createRevision === expected.createRevision
    if (target === 'MOD') return modRevision === expected.modRevision
    if (target === 'LEASE') return lease === expected.lease
    throw new Error(`no comparison of ${target}`)
  }

  #run({ requestPut, requestDeleteRange, requestRange }: RequestOp): ResponseOp {
    const { key = '', value = '', lease } = requestPut ?? {}
    if (requestPut !== undefined) this.#put(Buffer.from(key), Buffer.from(value), lease)
    if (requestDeleteRange !== undefined) this.#kvs.delete(String(requestDeleteRange.key))
    const kvs = this.#range(String(requestRange?.key), requestRange?.rangeEnd)
    return {
      responseRange: { header: undefined, kvs, more: false, count: kvs.length },
      responsePut: { header: undefined, prevKv: undefined },
      responseDeleteRange: { header: undefined, deleted: 0, prevKvs: [] },
      responseTxn: undefined,
    }
  }

  #range(from: string, end: Uint8Array | undefined): KeyValue[] {
    const isOne = end === undefined || end.length === 0
    const isInRange = (key: string): boolean => (isOne ? key === from : key >= from && key < String(end))
    return [...this.#kvs].flatMap(([key, kv]) => (isInRange(key) ? [kv] : []))
  }

  #put(key: Buffer, value: Buffer, lease: string | undefined): void {
    const { createRevision = this.revision, version = 0 } = this.#kvs.get(String(key)) ?? {}
    const fields = { key, value, lease, createRevision, modRevision: this.revision, version: version + 1 }
    this.#kvs.set(String(key), Object.assign(new KeyValue(), fields))
  }

  #info(): ResponseInfo {
    return {
      revision: this.revision,
      endpoint: 'a',
      memberId: undefined,
      clusterId: undefined,
      raftTerm: 2,
    } as ResponseInfo
  }
}
