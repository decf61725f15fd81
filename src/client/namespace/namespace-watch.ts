import { KeyValue } from '../../core/key-value.js'
import type { WatchTranslation } from '../../watch/watch.js'
import { WatchEvent } from '../../watch/watch-event.js'
import { rangeInNamespace, stripPrefix } from './namespace-range.js'

/** Takes watched ranges into the namespace of a prefix, and the events out of it. */
export function namespaceWatch(prefix: Buffer): WatchTranslation {
  const strip = (kv: KeyValue): KeyValue => Object.assign(new KeyValue(), kv, { key: stripPrefix(prefix, kv.key) })
  return {
    range: (range) => rangeInNamespace(prefix, range),
    // Events are shared with watches that may see other namespaces, hence copies.
    batch: ({ revision, events }) => ({
      revision,
      events: events.map(({ type, kv, prevKv }) => new WatchEvent(type, strip(kv), prevKv && strip(prevKv))),
    }),
  }
}
