import type { ChannelInterface } from '@grpc/grpc-js'

/** What grpc-js keeps of a channel's connection, as far as it is needed here. Nothing of it is public. */
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
 * Streams that the other side allows at a time. grpc-js has them wait without a sign when they are used up, and tells
 * nobody how many there are, so that its connection is looked at. `Infinity` where that is built in another way.
 */
export function peerMaxStreams(channel: ChannelInterface): number {
  const pool = (channel as unknown as Subchannels).internalChannel?.subchannelPool?.pool ?? {}
  let least = Number.POSITIVE_INFINITY
  for (const { subchannel } of Object.values(pool).flat()) {
    least = Math.min(least, subchannel?.transport?.session?.remoteSettings?.maxConcurrentStreams ?? least)
  }
  return least
}
