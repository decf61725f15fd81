import type { ChannelSettings } from '../channel-settings.js'
import type { Credentials } from '../credentials.js'
import type { Endpoint } from '../endpoint.js'
import { GrpcChannel } from '../grpc/grpc-channel.js'
import { Http2Channel } from '../http2/channel.js'
import type { StreamLimit } from '../stream-slots.js'
import type { LaneState, StreamChannel, UnaryLane } from '../unary-channel.js'

/** Who opened the connections to a member. */
export interface LanesListener {
  /** The state of the connection for unary calls, by which the member is judged. */
  onState(state: LaneState): void
  /** The connection for streams was lost, or takes no new ones any more: those that are left will end soon. */
  onStreamsLeaving(): void
}

/** What the connections to a member are made with. */
export interface LanesInit {
  readonly endpoint: Endpoint
  /** The credentials for a new connection. */
  readonly credentials: () => Credentials
  readonly settings: ChannelSettings
}

/** The connections to one member: one for unary calls, and one for streams or the same for both. */
export interface Lanes {
  readonly unary: UnaryLane
  /** The connection for streams, if it is another one and was opened. */
  readonly separateStreams: (UnaryLane & StreamChannel) | undefined
  /** What the member allows on the connection for streams: the same as on any. */
  readonly streamLimit: StreamLimit
  /** The connection for streams, which may still be connecting: streams wait for it. */
  streams(): StreamChannel
  close(): void
}

export function openLanes(init: LanesInit, listener: LanesListener): Lanes {
  return init.settings.transport === 'grpc-js' ? new SharedLanes(init, listener) : new SeparateLanes(init, listener)
}

/** One channel of grpc-js for everything. */
class SharedLanes implements Lanes {
  readonly unary: GrpcChannel
  readonly separateStreams = undefined

  constructor({ endpoint, credentials, settings }: LanesInit, listener: LanesListener) {
    const leaving = streamsLeaving(listener)
    this.unary = new GrpcChannel(endpoint, credentials, settings, (state) => {
      listener.onState(state)
      leaving(state)
    })
  }

  get streamLimit(): StreamLimit {
    return { maxStreams: this.unary.maxStreams, unaryPlaces: 1 }
  }

  streams(): StreamChannel {
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
class SeparateLanes implements Lanes {
  readonly unary: Http2Channel
  readonly #init: LanesInit
  readonly #listener: LanesListener
  #streams: Http2Channel | undefined

  constructor(init: LanesInit, listener: LanesListener) {
    this.#init = init
    this.#listener = listener
    this.unary = new Http2Channel(init.endpoint, init.credentials, init.settings, (state) => listener.onState(state))
  }

  get separateStreams(): Http2Channel | undefined {
    return this.#streams
  }

  get streamLimit(): StreamLimit {
    return { maxStreams: this.unary.maxStreams, unaryPlaces: 0 }
  }

  streams(): StreamChannel {
    if (this.#streams !== undefined) return this.#streams
    const { endpoint, credentials, settings } = this.#init
    this.#streams = new Http2Channel(endpoint, credentials, settings, streamsLeaving(this.#listener))
    this.#streams.connect()
    return this.#streams
  }

  close(): void {
    this.unary.close()
    this.#streams?.close()
  }
}

/** Streams leave a connection that was lost, and one that another has taken the place of. */
function streamsLeaving(listener: LanesListener): (state: LaneState) => void {
  let wasConnected = false
  return ({ kind }) => {
    if (wasConnected) listener.onStreamsLeaving()
    wasConnected = kind === 'connected'
  }
}
