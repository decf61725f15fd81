import type { ChannelInterface } from '@grpc/grpc-js'

/** The part of a channel's private state that is needed here. */
interface Subchannels {
  readonly internalChannel?: {
    readonly subchannelPool?: {
      readonly pool?: Readonly<Record<string, readonly { readonly subchannel?: Subchannel }[]>>
    }
  }
}

interface Subchannel {
  readonly transport?: {
    readonly session?: { readonly remoteSettings?: { readonly maxConcurrentStreams?: number } }
  } | null
}

/**
 * Concurrent streams that the member allows. grpc-js queues streams beyond the limit silently and does not expose the limit, so
 * it is read from private state; `Infinity` where another version of grpc-js is built differently.
 */
export function peerMaxStreams(channel: ChannelInterface): number {
  const pool = (channel as unknown as Subchannels).internalChannel?.subchannelPool?.pool ?? {}
  let least = Number.POSITIVE_INFINITY
  for (const { subchannel } of Object.values(pool).flat()) {
    least = Math.min(least, subchannel?.transport?.session?.remoteSettings?.maxConcurrentStreams ?? least)
  }
  return least
}
