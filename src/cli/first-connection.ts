import type { Etcd } from '../index.js'

/**
 * A signal for a command that waits without a time limit. It also aborts with the reason if no member is reached at first:
 * the command would wait in silence. Once connected, it survives any outage.
 */
export function orUnreachable(etcd: Etcd, signal: AbortSignal): AbortSignal {
  const failure = new AbortController()
  etcd.connect({ signal }).catch((error: unknown) => failure.abort(error))
  return AbortSignal.any([signal, failure.signal])
}
