import type { ErrorCode } from '../core/errors.js'
import type { EncodedRange } from '../core/key-range.js'
import { channels } from './channels.js'
import type { InformerStats, WatchStats } from './client-stats.js'
import { keyText, rangeOf } from './key-text.js'
import type { ClientIdentity, ConnectRecord, InformerRecord, LeaseRecord, RangeKind, WatchRecord } from './records.js'

/** What records are made with. */
export interface TelemetryOptions {
  readonly name: string
  readonly namespace: string | undefined
  /** Whether keys may be in records. */
  readonly keys: boolean
  readonly slowCallMs: number
}

/** A range as records show it. */
export interface RangeText {
  readonly range: RangeKind
  readonly key: string | undefined
}

/** A watch or an informer while it lasts. */
interface Live<Stats> extends RangeText {
  readonly stats: () => Stats
}

/** What an informer tells of itself. */
interface ObservedInformer {
  on(event: 'ready', listener: (ready: { readonly revision: number; readonly size: number }) => void): unknown
  on(event: 'resync', listener: (resync: Resync) => void): unknown
  on(event: 'error', listener: (failure: { readonly error: unknown; readonly terminal: boolean }) => void): unknown
  stats(): InformerStats
}

interface Resync {
  readonly reason: ErrorCode
  readonly fromRevision: number
  readonly toRevision: number
}

/** A record without the client that it is about. */
type Untold<Each> = Each extends unknown ? Omit<Each, 'client'> : never

let clients = 0

/** Makes the records of one client. */
export class ClientTelemetry {
  readonly client: ClientIdentity
  readonly slowCallMs: number
  readonly #keys: boolean
  readonly #watches = new Set<Live<WatchStats>>()
  readonly #informers = new Set<Live<InformerStats>>()

  constructor({ name, namespace, keys, slowCallMs }: TelemetryOptions) {
    clients += 1
    this.client = Object.freeze({ id: clients, name, namespace })
    this.slowCallMs = slowCallMs
    this.#keys = keys
  }

  /** A range as records show it; without the key if they are not to. */
  range(key: Uint8Array, rangeEnd: Uint8Array | undefined): RangeText {
    const range = rangeOf(key, rangeEnd)
    return { range: range.kind, key: range.key === undefined || !this.#keys ? undefined : keyText(range.key) }
  }

  connect(change: Omit<ConnectRecord, 'client'>): void {
    if (channels.connect.hasSubscribers) channels.connect.publish({ client: this.client, ...change })
  }

  watch(record: Untold<WatchRecord>): void {
    if (channels.watch.hasSubscribers) channels.watch.publish({ client: this.client, ...record })
  }

  lease(record: Untold<LeaseRecord>): void {
    if (channels.lease.hasSubscribers) channels.lease.publish({ client: this.client, ...record })
  }

  informer(record: Untold<InformerRecord>): void {
    if (channels.informer.hasSubscribers) channels.informer.publish({ client: this.client, ...record })
  }

  /** Follows a watch; returns what is to be called at its end. */
  watchOpened(range: EncodedRange, watch: WatchStats): (error?: unknown) => void {
    const live = { ...this.range(range.key, range.rangeEnd), stats: () => watch }
    const { range: kind, key } = live
    this.#watches.add(live)
    this.watch({ type: 'opened', range: kind, key })
    return (error) => {
      this.#watches.delete(live)
      this.watch({ type: 'ended', range: kind, key, reconnects: watch.reconnects, error })
    }
  }

  /** Follows an informer. */
  informerOpened(range: EncodedRange, informer: ObservedInformer): void {
    const text = this.range(range.key, range.rangeEnd)
    this.#forgetInformers()
    this.#informers.add({ ...text, stats: () => informer.stats() })
    informer.on('ready', ({ revision, size }) => this.informer({ type: 'ready', ...text, revision, size }))
    informer.on('resync', ({ reason, fromRevision, toRevision }) =>
      this.informer({ type: 'resync', ...text, reason, fromRevision, toRevision }),
    )
    informer.on('error', ({ error, terminal }) => this.informer({ type: 'error', ...text, terminal, error }))
  }

  /** Those that are over have nobody to tell. */
  #forgetInformers(): void {
    for (const live of this.#informers) {
      const { state } = live.stats()
      if (state === 'closed' || state === 'failed') this.#informers.delete(live)
    }
  }
}
