import { readEvent } from '../protobuf/generated/codecs.js'
import type { Event, WatchRequest, WatchResponse } from '../protobuf/generated/messages.js'
import type { StreamMethod } from '../protobuf/method.js'
import { methods } from '../protobuf/methods.js'
import { Reader } from '../protobuf/reader.js'

/** A response, or a part of a large one: the events of some whole revisions. */
export interface WatchResponsePart extends WatchResponse {
  /** The number of events of the whole response, in its last part; `undefined` in the others. */
  readonly eventCount?: number | undefined
  /** Whether more parts of the response follow. */
  readonly hasMore?: true
}

/** The tag of the field `events`. */
const eventTag = 90
/** Smaller responses are decoded as a whole. */
const largeBytes = 1024 * 1024
/** Events of a part, and those of the revision that it ends with. */
const eventsPerPart = 500

const { Watch } = methods.Watch

/**
 * The method Watch, whose large responses are decoded in parts. A member sends up to 1,000 revisions of a backlog as one
 * response. Decoded as a whole, its events would be in memory all at once before the consumer receives the first of them.
 */
export const watchMethod: StreamMethod<WatchRequest, WatchResponsePart> = {
  ...Watch,
  parts: (bytes) => (bytes.length < largeBytes ? undefined : partsOf(bytes)),
}

/** The parts of a response. Exported for tests. */
export function* partsOf(bytes: Buffer): Generator<WatchResponsePart, undefined> {
  const layout = layoutOf(bytes)
  if (layout === undefined) {
    yield Watch.decode(bytes)
    return
  }
  const { eventCount, eventsStart } = layout
  const head = Watch.decode(bytes.subarray(0, eventsStart))
  const reader = new Reader(bytes)
  reader.pos = eventsStart
  let events: Event[] = []
  for (let read = 0; read < eventCount; read += 1) {
    reader.tag()
    const event = readEvent(reader, reader.begin())
    if (events.length >= eventsPerPart && events.at(-1)?.kv?.modRevision !== event.kv?.modRevision) {
      // Its revisions are complete, whether or not the response is a fragment.
      yield { ...head, fragment: false, events, hasMore: true }
      events = []
    }
    events.push(event)
  }
  yield { ...head, events, eventCount }
}

/** Where the events start, and how many there are; `undefined` if other fields follow them, which etcd never sends. */
function layoutOf(bytes: Buffer): { readonly eventsStart: number; readonly eventCount: number } | undefined {
  const reader = new Reader(bytes)
  let eventsStart = bytes.length
  let eventCount = 0
  while (reader.pos < bytes.length) {
    const at = reader.pos
    const tag = reader.tag()
    if (tag === eventTag) {
      if (eventCount === 0) eventsStart = at
      eventCount += 1
    } else if (eventCount > 0) return undefined
    reader.skip(tag)
  }
  return { eventsStart, eventCount }
}
