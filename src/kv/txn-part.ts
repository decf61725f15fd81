import { EtcdError } from '../core/errors.js'

const mistaken =
  'an operation or a comparison was awaited, which sends nothing: pass it to a transaction, or call the method of the client, such as etcd.put()'

/**
 * What transactions are made of. It is no promise: to await it rejects with `TXN_NOT_COMMITTED`, where it would otherwise
 * do nothing without a word, for somebody who has taken `put()` for `etcd.put()`.
 */
export abstract class TxnPart {
  /** `await` calls this. */
  then(_onFulfilled: unknown, onRejected?: unknown): void {
    rejectAwait(onRejected, mistaken)
  }
}

/** Rejects a caller that awaits what is no promise: `await` passes two functions. */
export function rejectAwait(onRejected: unknown, message: string): void {
  if (typeof onRejected !== 'function') return
  onRejected(new EtcdError(message, { code: 'TXN_NOT_COMMITTED', effect: 'none' }))
}
