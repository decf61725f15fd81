import type { ClusterReport } from './report.js'

/** How long it takes between the two members that are farthest apart. */
export interface PeerRoundTrip {
  readonly ms: number
  /** `measured` by the members themselves; `bounded` by the way over here, which is never shorter. */
  readonly kind: 'measured' | 'bounded'
}

/** Few samples may all be from the start of the member, when everything is slow. */
const enoughSamples = 5

/** The longest round trip between members: from their metrics, or bounded by measurements from here. */
export function peerRoundTrip({ members }: ClusterReport): PeerRoundTrip | undefined {
  const measured = members
    .flatMap(({ metrics }) => metrics?.peers ?? [])
    .filter(({ roundTrip }) => roundTrip.samples >= enoughSamples)
    .map(({ roundTrip }) => roundTrip.ms)
  if (measured.length > 0) return { ms: Math.max(...measured), kind: 'measured' }
  const fromHere = members.flatMap(({ roundTrip }) => roundTrip?.p50Ms ?? []).sort((a, b) => b - a)
  const [first, second] = fromHere
  return first === undefined || second === undefined ? undefined : { ms: first + second, kind: 'bounded' }
}

/** Settings for a round trip between members. */
export interface TimerAdvice {
  /** 0.5 to 1.5 times the round trip is sound. */
  readonly heartbeatMs: readonly [least: number, most: number]
  /** At least ten round trips, at most 50 s. */
  readonly electionMs: number
  /** Whether etcd's own settings, 100 ms and 1000 ms, are sound. */
  readonly defaultsSuit: boolean
}

const defaultHeartbeatMs = 100
const defaultElectionMs = 1000
const longestElectionMs = 50_000

/** What etcd's timers should be for this round trip. */
export function timerAdvice(roundTripMs: number): TimerAdvice {
  const heartbeatMs = [Math.max(1, Math.ceil(roundTripMs * 0.5)), Math.max(1, Math.ceil(roundTripMs * 1.5))] as const
  const electionMs = Math.min(longestElectionMs, Math.max(defaultElectionMs, Math.ceil((roundTripMs * 10) / 100) * 100))
  // A heartbeat that is longer than needed costs little: it is too short ones that members miss.
  const defaultsSuit = heartbeatMs[0] <= defaultHeartbeatMs && roundTripMs * 10 <= defaultElectionMs
  return { heartbeatMs, electionMs, defaultsSuit }
}
