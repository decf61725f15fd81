import type { ChannelState, StreamChannel, UnaryChannel } from '../channel.js'
import type { ChannelSettings } from '../channel-settings.js'
import type { Credentials } from '../credentials.js'
import type { Endpoint } from '../endpoint.js'
import { GrpcChannel } from '../grpc/grpc-channel.js'
import { Http2Channel } from '../http2/http2-channel.js'
import type { StreamLimit } from '../stream-slots.js'

/** Receives the states of the channels to a member. */
export interface MemberChannelsListener {
  /** The channel for unary calls has entered a new state. It determines the state of the endpoint. */
  onState(state: ChannelState): void
  /** The connection for streams was lost, or accepts no new ones: the streams on it will end soon. */
  onStreamsDraining(): void
}

/** What the channels to a member are created with. */
export interface MemberChannelsInit {
  readonly endpoint: Endpoint
  /** The credentials for a new connection, read again for each. */
  readonly credentials: () => Credentials
  readonly settings: ChannelSettings
}

/** The channels to one member: one for unary calls, and one for streams, or one for both. */
export interface MemberChannels {
  readonly unary: UnaryChannel
  /** The channel for streams, if it is a separate one and was opened. */
  readonly separateStreamChannel: (UnaryChannel & StreamChannel) | undefined
  /** The limit of streams on the connection for streams. */
  readonly streamLimit: StreamLimit
  /** The channel for streams, opened where needed. Streams wait while it connects. */
  streamChannel(): StreamChannel
  close(): void
}

export function openMemberChannels(init: MemberChannelsInit, listener: MemberChannelsListener): MemberChannels {
  return init.settings.transport === 'grpc-js'
    ? new SharedChannel(init, listener)
    : new SeparateChannels(init, listener)
}

/** One channel of grpc-js for calls and streams. */
class SharedChannel implements MemberChannels {
  readonly unary: GrpcChannel
  readonly separateStreamChannel = undefined

  constructor({ endpoint, credentials, settings }: MemberChannelsInit, listener: MemberChannelsListener) {
    const leaving = drainingNotifier(listener)
    this.unary = new GrpcChannel(endpoint, credentials, settings, (state) => {
      listener.onState(state)
      leaving(state)
    })
  }

  get streamLimit(): StreamLimit {
    return { maxStreams: this.unary.maxStreams, unarySlots: 1 }
  }

  streamChannel(): StreamChannel {
    return this.unary
  }

  close(): void {
    this.unary.close()
  }
}

/**
 * One channel for unary calls, and another of the same kind that is opened for the first stream: on a shared connection, a
 * member that sends large watch responses starves calls (etcd issue 15402).
 */
class SeparateChannels implements MemberChannels {
  readonly unary: Http2Channel
  readonly #init: MemberChannelsInit
  readonly #listener: MemberChannelsListener
  #streams: Http2Channel | undefined

  constructor(init: MemberChannelsInit, listener: MemberChannelsListener) {
    this.#init = init
    this.#listener = listener
    this.unary = new Http2Channel(init.endpoint, init.credentials, init.settings, (state) => listener.onState(state))
  }

  get separateStreamChannel(): Http2Channel | undefined {
    return this.#streams
  }

  get streamLimit(): StreamLimit {
    return { maxStreams: this.unary.maxStreams, unarySlots: 0 }
  }

  streamChannel(): StreamChannel {
    if (this.#streams !== undefined) return this.#streams
    const { endpoint, credentials, settings } = this.#init
    this.#streams = new Http2Channel(endpoint, credentials, settings, drainingNotifier(this.#listener))
    this.#streams.connect()
    return this.#streams
  }

  close(): void {
    this.unary.close()
    this.#streams?.close()
  }
}

/** Notifies `listener` when a connection with streams was lost, drains, or was replaced by another one. */
function drainingNotifier(listener: MemberChannelsListener): (state: ChannelState) => void {
  let wasConnected = false
  return ({ kind }) => {
    if (wasConnected) listener.onStreamsDraining()
    wasConnected = kind === 'connected'
  }
}
