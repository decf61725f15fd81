import { EventEmitter } from 'node:events'
import {
  type Watcher as EngineWatcher,
  isEtcdError,
  type KeyRange,
  type WatchBatch,
  type WatchOptions,
} from '../index.js'
import { castError } from './cast-error.js'
import type { ConnectionPool } from './connection-pool.js'
import { ClientRuntimeError, type EtcdError } from './errors.js'
import type { KeyPrefix } from './key-prefix.js'
import { FilterType } from './rpc/enums.js'
import type { IEvent, IKeyValue, IWatchCreateRequest, IWatchResponse } from './rpc/kv-messages.js'
import { toKeyValue } from './rpc/response.js'

/** What the events of a watcher come with. */
interface WatcherEventMap {
  connecting: [req: IWatchCreateRequest]
  connected: [res: IWatchResponse]
  data: [res: IWatchResponse]
  put: [kv: IKeyValue, previous?: IKeyValue]
  delete: [kv: IKeyValue, previous?: IKeyValue]
  end: []
  disconnected: [res: EtcdError]
  error: [err: EtcdError]
}

type Listener = Parameters<EventEmitter['on']>[1]

const context = { service: 'Watch', method: 'watch', isStream: true } as const
/** Watches that share a stream are confirmed one by one. */
const confirmationPollMs = 10
let nextWatchId = 0

/** A watch. It resumes after lost connections and delivers each event once and in order. */
export class Watcher extends EventEmitter {
  readonly #pool: ConnectionPool
  readonly #namespace: KeyPrefix
  readonly #running: Promise<void>
  readonly #leave: (() => void)[] = []
  #watcher: EngineWatcher | undefined
  #reconnects = 0
  #isConnected = false
  #isEnded = false
  #lastRevision: number | null = null
  #onSettled: ((error: Error | undefined) => void) | undefined
  /** Its ID while it is connected. */
  readonly id: string | null = null
  /** What it was made with; `start_revision` moves on with what it has reported. */
  readonly request: IWatchCreateRequest

  constructor(pool: ConnectionPool, namespace: KeyPrefix, request: IWatchCreateRequest) {
    super()
    this.#pool = pool
    this.#namespace = namespace
    this.request = request
    this.#leave.push(
      pool.hold(),
      pool.engine.on('watchLost', ({ error }) => this.#notice(error)),
      pool.engine.on('watchResumed', () => this.#notice(undefined)),
    )
    this.#running = this.#run()
  }

  /** The last revision that it has reported, or knows to have no event; `null` before it is connected. */
  lastRevision(): number | null {
    return this.#lastRevision
  }

  /** Ends it. */
  async cancel(): Promise<void> {
    this.#isEnded = true
    await this.#watcher?.close()
    await this.#running
  }

  /** @internal Resolves when it is confirmed. Where that takes too long, it is cancelled. */
  async whenConnected(): Promise<this> {
    const settled = new Promise<void>((resolve, reject) => {
      this.#onSettled = (error) => (error === undefined ? resolve() : reject(error))
    })
    await settled
    return this
  }

  override on<Name extends keyof WatcherEventMap>(event: Name, handler: (...args: WatcherEventMap[Name]) => void): this
  override on(event: string | symbol, handler: Listener): this
  override on(event: string | symbol, handler: Listener): this {
    return super.on(event, handler)
  }

  async #run(): Promise<void> {
    // What it is made by adds its listeners first.
    await Promise.resolve()
    try {
      const watcher = this.#open()
      this.#lastRevision = await this.#confirmed(watcher)
      this.#connected()
      for await (const batch of watcher.batches()) this.#take(batch)
      this.#end()
    } catch (error) {
      if (isEtcdError(error, 'CLOSED')) this.#end()
      else this.#fail(castError(error, { service: 'Watch' }))
    }
  }

  #open(): EngineWatcher {
    if (this.#pool.isMocked) throw new ClientRuntimeError('a mocked client cannot watch')
    const watcher = this.#pool.engine.watch(rangeOf(this.request), optionsOf(this.request))
    this.#watcher = watcher
    if (this.#isEnded) void watcher.close()
    return watcher
  }

  /** `create()` is bounded by a deadline; `watcher()` waits for a member without a bound. */
  async #confirmed(watcher: EngineWatcher): Promise<number> {
    const { signal, timeoutMs = defaultTimeoutMs } = this.#pool.boundsOf(context, undefined)
    try {
      return await watcher.ready(this.#onSettled === undefined ? {} : { signal, timeoutMs })
    } catch (error) {
      await watcher.close()
      throw error
    }
  }

  #take(batch: WatchBatch): void {
    this.#notice(undefined)
    const events = batch.events.map(({ type, kv, prevKv }): IEvent => {
      const event = { type: type === 'put' ? 'Put' : 'Delete', kv: this.#keyValue(kv) } as const
      // The types of etcd3 have no missing one.
      return { ...event, prev_kv: (prevKv === undefined ? null : this.#keyValue(prevKv)) as IKeyValue }
    })
    this.#advance(batch.revision)
    this.#emit('data', this.#response(batch.revision, { events }))
    for (const { type, kv, prev_kv } of events) {
      if (!this.#isEnded) this.#emit(type === 'Put' ? 'put' : 'delete', kv, prev_kv)
    }
  }

  #keyValue(kv: Parameters<typeof toKeyValue>[0]): IKeyValue {
    const converted = toKeyValue(kv)
    return { ...converted, key: this.#namespace.remove(converted.key) }
  }

  /** Looks whether the watch has lost its stream, or has another one. */
  #notice(error: unknown): void {
    const watcher = this.#watcher
    if (watcher === undefined || this.#lastRevision === null || this.#isEnded) return
    const { state, reconnects } = watcher.status
    if (this.#isConnected && reconnects > this.#reconnects) this.#disconnected(error)
    if (this.#isConnected || state === 'ended') return
    if (state === 'active') this.#connected()
    else setTimeout(() => this.#notice(undefined), confirmationPollMs).unref()
  }

  #connected(): void {
    this.#reconnects = this.#watcher?.status.reconnects ?? 0
    this.#isConnected = true
    this.#advance(this.#lastRevision ?? 0)
    nextWatchId += 1
    this.#setId(String(nextWatchId))
    this.#emit('connecting', this.request)
    this.#emit('connected', this.#response(this.#lastRevision ?? 0, { created: true }))
    this.#settle(undefined)
  }

  #disconnected(error: unknown): void {
    this.#isConnected = false
    this.#setId(null)
    this.#emit('disconnected', castError(error ?? new Error('the watch has lost its stream'), { service: 'Watch' }))
  }

  #end(): void {
    this.#finish()
    this.#settle(new ClientRuntimeError('the watch was cancelled before it was confirmed'))
    this.#emit('end')
  }

  #fail(error: Error): void {
    this.#finish()
    const isTold = this.#settle(error)
    if (!isTold || this.listenerCount('error') > 0) this.#emit('error', error)
  }

  #finish(): void {
    this.#isEnded = true
    this.#isConnected = false
    for (const leave of this.#leave.splice(0)) leave()
  }

  #settle(error: Error | undefined): boolean {
    const onSettled = this.#onSettled
    this.#onSettled = undefined
    onSettled?.(error)
    return onSettled !== undefined
  }

  #advance(revision: number): void {
    this.#lastRevision = Math.max(revision, this.#lastRevision ?? 0)
    this.request.start_revision = String(this.#lastRevision + 1)
  }

  #setId(id: string | null): void {
    ;(this as { id: string | null }).id = id
  }

  #response(revision: number, fields: Partial<IWatchResponse>): IWatchResponse {
    return {
      header: this.#pool.header(revision),
      watch_id: this.id ?? '0',
      created: false,
      canceled: false,
      compact_revision: '0',
      cancel_reason: '',
      fragment: false,
      events: [],
      ...fields,
    }
  }

  /** A listener that throws keeps no event from those after it; the process learns of it as of any uncaught exception. */
  #emit<Name extends keyof WatcherEventMap>(name: Name, ...args: WatcherEventMap[Name] | [Error]): void {
    try {
      this.emit(name, ...args)
    } catch (error) {
      setImmediate(() => {
        throw error
      })
    }
  }
}

const defaultTimeoutMs = 10_000

function rangeOf({ key = Buffer.alloc(0), range_end: end }: IWatchCreateRequest): KeyRange {
  if (end === undefined || end.length === 0) return { key }
  return end.length === 1 && end[0] === 0 ? { from: key } : { from: key, to: end }
}

function optionsOf({ start_revision, prev_kv, filters = [] }: IWatchCreateRequest): WatchOptions {
  const revision = Number(start_revision ?? 0)
  const [only, ...others] = new Set(filters.map((filter) => (filter === FilterType.Nodelete ? 'put' : 'delete')))
  return {
    prevKv: prev_kv,
    ...(revision > 0 ? { startRevision: revision } : {}),
    ...(only === undefined || others.length > 0 ? {} : { only }),
  }
}
