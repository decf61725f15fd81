import type { ChannelSettings } from './channel-settings.js'
import { ConnectPatience } from './connect-patience.js'
import type { Credentials } from './credentials.js'
import type { Endpoint } from './endpoint.js'
import { GrpcChannel } from './grpc-channel.js'
import { loadedGrpcJs, loadGrpcJs } from './grpc-js.js'
import { Http2Lane } from './http2-lane.js'
import type { LaneState, UnaryLane } from './unary-lane.js'

/** Who opened the connections to a member. */
export interface LanesListener {
  /** The state of the connection for unary calls, by which the member is judged. */
  onState(state: LaneState): void
  /** The connection for streams was lost, or takes no new ones any more: those that are left will end soon. */
  onStreamsLeaving(): void
  /** The connection for streams was given up: nothing more comes on those that are left. */
  onStreamsLost(): void
}

/** What the connections to a member are made with. */
export interface LanesInit {
  readonly endpoint: Endpoint
  /** The credentials for a new connection; the same object as long as they have not changed. */
  readonly credentials: () => Credentials
  readonly settings: ChannelSettings
}

/** The connections to one member: one for unary calls, and one for streams or the same for both. */
export interface Lanes {
  readonly unary: UnaryLane
  /** The connection for streams, which may still be connecting: streams wait for it. */
  streams(): GrpcChannel
  /** Whether they go on with credentials that were renewed since, when they connect again. */
  isOutdated(): boolean
  close(): void
}

export function openLanes(init: LanesInit, listener: LanesListener): Lanes {
  return init.settings.transport === 'grpc-js' ? new SharedLanes(init, listener) : new SeparateLanes(init, listener)
}

/** Loads what carries the streams; `undefined` where that was done. It has to be awaited before a stream is opened. */
export function prepareStreams(): Promise<unknown> | undefined {
  return loadedGrpcJs() === undefined ? loadGrpcJs() : undefined
}

/** One channel of grpc-js for everything. */
class SharedLanes implements Lanes {
  readonly unary: GrpcChannel
  readonly #init: LanesInit
  readonly #credentials: Credentials

  constructor(init: LanesInit, listener: LanesListener) {
    this.#init = init
    this.#credentials = init.credentials()
    this.unary = new GrpcChannel(init.endpoint, this.#credentials, init.settings, (state) => {
      listener.onState(state)
      if (state.kind === 'connecting') listener.onStreamsLeaving()
    })
  }

  streams(): GrpcChannel {
    return this.unary
  }

  /** A channel keeps the credentials that it was made with. */
  isOutdated(): boolean {
    return this.#init.credentials() !== this.#credentials
  }

  close(): void {
    this.unary.close()
  }
}

/** A session of HTTP/2 for unary calls, and a channel of grpc-js that is opened for the first stream. */
class SeparateLanes implements Lanes {
  readonly unary: Http2Lane
  readonly #init: LanesInit
  readonly #listener: LanesListener
  readonly #patience = new ConnectPatience(() => this.#dropStreams())
  #streams: { readonly channel: GrpcChannel; readonly credentials: Credentials } | undefined

  constructor(init: LanesInit, listener: LanesListener) {
    this.#init = init
    this.#listener = listener
    this.unary = new Http2Lane(init.endpoint, init.credentials, init.settings, (state) => listener.onState(state))
  }

  streams(): GrpcChannel {
    if (this.#streams !== undefined) return this.#streams.channel
    const { endpoint, credentials, settings } = this.#init
    const current = credentials()
    const channel = new GrpcChannel(endpoint, current, settings, (state) => this.#onStreamsState(state))
    this.#streams = { channel, credentials: current }
    channel.connect()
    this.#patience.start()
    return channel
  }

  /** The lane takes the credentials of the moment, and an outdated channel is dropped. */
  isOutdated(): boolean {
    return false
  }

  close(): void {
    this.#patience.stop()
    this.unary.close()
    this.#streams?.channel.close()
  }

  #onStreamsState(state: LaneState): void {
    if (state.kind === 'connected') this.#patience.succeeded()
    else if (this.#streams?.credentials !== this.#init.credentials()) this.#dropStreams()
    else if (state.kind === 'connecting') {
      this.#patience.start()
      this.#listener.onStreamsLeaving()
    }
  }

  /** The next stream opens a new channel. */
  #dropStreams(): void {
    this.#streams?.channel.close()
    this.#streams = undefined
    this.#listener.onStreamsLost()
  }
}
