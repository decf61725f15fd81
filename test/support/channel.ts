import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import { poll } from '../../src/testing/index.js'
import type { CallStatus, ChannelCall, ChannelState, ChannelStream } from '../../src/transport/channel.js'
import type { ChannelSettings } from '../../src/transport/channel-settings.js'
import { plainCredentials } from '../../src/transport/credentials.js'
import { parseEndpoints } from '../../src/transport/endpoint.js'
import { Http2Channel } from '../../src/transport/http2/http2-channel.js'

const settings: ChannelSettings = {
  transport: 'http2',
  keepaliveMs: 10_000,
  keepaliveTimeoutMs: 5000,
  useProxyEnvironment: false,
  servername: undefined,
}

/** What a call came to. */
export interface Outcome {
  readonly message: string | undefined
  readonly status: CallStatus
}

export interface TestCall {
  readonly call: ChannelCall
  readonly outcome: Promise<Outcome>
}

/** A stream that is read by hand. */
export interface TestStream {
  readonly stream: ChannelStream
  readonly messages: Buffer[]
  readonly status: Promise<CallStatus>
}

export type TestChannelOptions = Partial<ChannelSettings> & { readonly lastStreamId?: number | undefined }

/** A channel over HTTP/2 without a client around it. */
export class TestChannel {
  readonly states: ChannelState[] = []
  readonly channel: Http2Channel

  constructor(t: TestContext, endpoint: string, { lastStreamId, ...overrides }: TestChannelOptions = {}) {
    const [parsed] = parseEndpoints(endpoint, { hasTls: false })
    assert.ok(parsed)
    const onState = (state: ChannelState): unknown => this.states.push(state)
    this.channel = new Http2Channel(parsed, plainCredentials, { ...settings, ...overrides }, onState, lastStreamId)
    t.after(() => this.close())
    this.channel.connect()
  }

  get kinds(): string[] {
    return this.states.map(({ kind }) => kind)
  }

  /** Why it did not connect, or what took so long. */
  get reasons(): (string | undefined)[] {
    return this.states.flatMap((state) => (state.kind === 'failed' ? [state.reason] : []))
  }

  close(): void {
    this.channel.close()
  }

  connected(times = 1): Promise<unknown> {
    return poll('it is connected', () => this.kinds.filter((kind) => kind === 'connected').length >= times || undefined)
  }

  start(
    message: Buffer | string = 'request',
    timeoutMs = 5000,
    metadata: Readonly<Record<string, string>> = { token: 'secret' },
  ): TestCall {
    let resolve: (outcome: Outcome) => void = () => {}
    const outcome = new Promise<Outcome>((settle) => {
      resolve = settle
    })
    let answer: string | undefined
    const deadlineAt = performance.now() + timeoutMs
    const call = this.channel.startUnary('/test/Method', Buffer.from(message as string), metadata, deadlineAt, {
      onReceiveMetadata() {},
      onReceiveMessage: (bytes) => {
        answer = bytes.toString('latin1')
      },
      onReceiveStatus: (status) => resolve({ message: answer, status }),
    })
    return { call, outcome }
  }

  call(message?: Buffer | string, timeoutMs?: number): Promise<Outcome> {
    return this.start(message, timeoutMs).outcome
  }

  /** Opens a stream whose messages are asked for one by one, or all of them. */
  stream(readsAll = true): TestStream {
    let resolve: (status: CallStatus) => void = () => {}
    const status = new Promise<CallStatus>((settle) => {
      resolve = settle
    })
    const messages: Buffer[] = []
    const stream = this.channel.startStream(
      '/test/Stream',
      {},
      {
        onReceiveMetadata() {},
        onReceiveMessage: (message) => {
          messages.push(message)
          if (readsAll) stream.startRead()
        },
        onReceiveStatus: (end) => resolve(end),
      },
    )
    if (readsAll) stream.startRead()
    return { stream, messages, status }
  }
}
