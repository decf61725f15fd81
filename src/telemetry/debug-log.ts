import { debuglog } from 'node:util'
import { logLines } from './log-lines.js'

let hasStarted = false

/** Prints what happens on standard error, a line for each, where the environment has `NODE_DEBUG=etcdkit`. */
export function startDebugLog(): void {
  const log = debuglog('etcdkit')
  if (hasStarted || !log.enabled) return
  hasStarted = true
  for (const { channel, entry } of logLines) {
    channel.subscribe((message) => {
      const logged = entry(message)
      if (logged !== undefined) log('%s: %s', logged.record.client.name, logged.text)
    })
  }
}
