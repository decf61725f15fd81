import { isTokenRefusal } from '../../src/auth/token.js'
import type { EtcdError } from '../../src/core/errors.js'
import { KeyValue } from '../../src/core/key-value.js'
import type { Event, WatchCreateRequest, WatchRequest, WatchResponse } from '../../src/protobuf/generated/messages.js'
import type { OpenOptions, OpenStream, StreamSource } from '../../src/streams/stream-source.js'
import type { StreamListener } from '../../src/transport/connection/stream-call.js'
import type { WatchResponsePart } from '../../src/watch/response-parts.js'
import type { WatchedCluster, WatchSpec } from '../../src/watch/server-watch.js'
import { header } from '../support/fake-transport.js'

/** Streams to members that answer what a test says. */
export class FakeStreams implements Pick<StreamSource, 'open' | 'hasOther' | 'refused' | 'used'> {
  readonly opened: FakeStream[] = []
  /** What opening the next streams throws. */
  failure: unknown
  serverVersion: string | undefined = '3.5.30'
  dataBytes: number | undefined
  /** How the last stream was opened. */
  options: OpenOptions = {}

  get last(): FakeStream {
    const last = this.opened.at(-1)
    if (last === undefined) throw new Error('no stream was opened')
    return last
  }

  /** Waits for the stream after the last one, if that is over. */
  async openedAgain(): Promise<void> {
    const { last } = this
    for (const until = performance.now() + 5000; last === this.last; await settled()) {
      if (performance.now() > until) throw new Error('no other stream was opened')
    }
    await settled()
  }

  async open<Request, Response>(
    _method: unknown,
    listener: StreamListener<Response>,
    options: OpenOptions,
  ): Promise<OpenStream<Request, Response>> {
    this.options = options
    if (this.failure !== undefined) throw this.failure
    // The tests open watch streams only.
    const stream = new FakeStream(
      listener as unknown as StreamListener<WatchResponse>,
      `http://m${this.opened.length}`,
      this.serverVersion,
      this.dataBytes,
    )
    this.opened.push(stream)
    return { call: stream, token: undefined } as unknown as OpenStream<Request, Response>
  }

  hasOther(): boolean {
    return true
  }

  refused(_open: OpenStream, error: EtcdError): boolean {
    return isTokenRefusal(error.code)
  }

  used(): void {}
}

/** A stream as its opener sees it, and as the member at its other end. */
export class FakeStream {
  readonly sent: WatchRequest[] = []
  readonly endpoint: string
  readonly serverVersion: string | undefined
  readonly dataBytes: number | undefined
  readonly #listener: StreamListener<WatchResponse>
  isCanceled = false
  isPaused = false

  constructor(
    listener: StreamListener<WatchResponse>,
    endpoint: string,
    serverVersion: string | undefined,
    dataBytes: number | undefined,
  ) {
    this.#listener = listener
    this.endpoint = endpoint
    this.serverVersion = serverVersion
    this.dataBytes = dataBytes
  }

  get creates(): WatchCreateRequest[] {
    return this.sent.flatMap(({ createRequest }) => createRequest ?? [])
  }

  get canceledIds(): (number | undefined)[] {
    return this.sent.flatMap(({ cancelRequest }) => (cancelRequest === undefined ? [] : [cancelRequest.watchId]))
  }

  get progressRequests(): number {
    return this.sent.filter(({ progressRequest }) => progressRequest !== undefined).length
  }

  send(request: WatchRequest): void {
    this.sent.push(request)
  }

  pause(): void {
    this.isPaused = true
  }

  resume(): void {
    this.isPaused = false
  }

  cancel(): void {
    this.isCanceled = true
  }

  answer(response: Partial<WatchResponsePart>): void {
    if (!this.isCanceled) this.#listener.onMessage(watchResponse(response))
  }

  created(watchId: number, revision: number, clusterId = 'c1'): void {
    this.answer({ watchId, created: true, header: header({ revision, clusterId }) })
  }

  /** Events of puts at these revisions; the header is ahead of them. */
  events(watchId: number, ...revisions: number[]): void {
    this.answer({
      watchId,
      events: revisions.map((revision) => putEvent(revision)),
      header: header({ revision: 1000 }),
    })
  }

  /** The answer to a question for progress. */
  progress(revision: number, watchId = -1): void {
    this.answer({ watchId, header: header({ revision }) })
  }

  end(error?: EtcdError): void {
    this.isCanceled = true
    this.#listener.onEnd(error)
  }

  leave(): void {
    this.#listener.onDraining()
  }
}

export function watchResponse(fields: Partial<WatchResponsePart>): WatchResponsePart {
  return {
    header: header(),
    watchId: 0,
    created: false,
    canceled: false,
    compactRevision: 0,
    cancelReason: '',
    fragment: false,
    events: [],
    ...fields,
  }
}

export function keyValue(fields: Partial<KeyValue> & { readonly name?: string }): KeyValue {
  const { name = 'key', ...rest } = fields
  return Object.assign(new KeyValue(), { key: Buffer.from(name), ...rest })
}

export function putEvent(modRevision: number, name = 'key', value = ''): Event {
  const kv = keyValue({ name, modRevision, createRevision: 1, version: 2, value: Buffer.from(value) })
  return { type: 'PUT', kv, prevKv: undefined }
}

export function specFor(name: string): WatchSpec {
  return { key: Buffer.from(name), rangeEnd: Buffer.alloc(0), prevKv: false, filters: [] }
}

/** Lets everything that has been settled take its course. */
export function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

/** What is known of a cluster that has come to a revision. */
export function clusterAt(revision: number): WatchedCluster {
  return { clusterId: undefined, revision, history: { after: undefined } }
}
