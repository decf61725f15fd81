import type { ChannelState, StreamChannel, UnaryChannel } from '../channel.js'
import type { ChannelSettings } from '../channel-settings.js'
import type { Credentials } from '../credentials.js'
import type { Endpoint } from '../endpoint.js'
import { GrpcChannel } from '../grpc/grpc-channel.js'
import { Http2Channel } from '../http2/http2-channel.js'
import type { StreamLimit } from '../stream-slots.js'

/** Who opened the connections to a member. */
export interface MemberChannelsListener {
  /** The state of the connection for unary calls, by which the member is judged. */
  onState(state: ChannelState): void
  /** The connection for streams was lost, or takes no new ones any more: those that are left will end soon. */
  onStreamsDraining(): void
}

/** What the connections to a member are made with. */
export interface MemberChannelsInit {
  readonly endpoint: Endpoint
  /** The credentials for a new connection. */
  readonly credentials: () => Credentials
  readonly settings: ChannelSettings
}

/** The connections to one member: one for unary calls, and one for streams or the same for both. */
export interface MemberChannels {
  readonly unary: UnaryChannel
  /** The connection for streams, if it is another one and was opened. */
  readonly separateStreamChannel: (UnaryChannel & StreamChannel) | undefined
  /** What the member allows on the connection for streams: the same as on any. */
  readonly streamLimit: StreamLimit
  /** The connection for streams, which may still be connecting: streams wait for it. */
  streamChannel(): StreamChannel
  close(): void
}

export function openMemberChannels(init: MemberChannelsInit, listener: MemberChannelsListener): MemberChannels {
  return init.settings.transport === 'grpc-js'
    ? new SharedChannel(init, listener)
    : new SeparateChannels(init, listener)
}

/** One channel of grpc-js for everything. */
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
 * One connection for unary calls, and another of the same kind that is opened for the first stream: on a shared one, a
 * member that sends large answers to watches lets calls wait (etcd issue 15402).
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

/** Streams leave a connection that was lost, and one that another has taken the place of. */
function drainingNotifier(listener: MemberChannelsListener): (state: ChannelState) => void {
  let wasConnected = false
  return ({ kind }) => {
    if (wasConnected) listener.onStreamsDraining()
    wasConnected = kind === 'connected'
  }
}
