import type { Channel } from 'node:diagnostics_channel'
import type { TestContext } from 'node:test'

/** Collects what is published on a channel during the test. */
export function recordsOf<Each>(t: TestContext, channel: Channel): Each[] {
  const records: Each[] = []
  // Each channel has messages of one kind, which the caller knows.
  const listen = (record: unknown): number => records.push(record as Each)
  channel.subscribe(listen)
  t.after(() => channel.unsubscribe(listen))
  return records
}
