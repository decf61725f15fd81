import { EtcdError } from '../core/errors.js'

const mistaken =
  'an operation or a comparison was awaited, which sends nothing: pass it to a transaction, or call a method of the client, such as etcd.put()'

/**
 * A part of a transaction. It is not a promise: awaiting it rejects with `TXN_NOT_COMMITTED`, because `await put()` instead of
 * `await etcd.put()` would silently do nothing.
 */
export abstract class TxnPart {
  /** `await` calls this. */
  then(_onFulfilled: unknown, onRejected?: unknown): void {
    rejectAwait(onRejected, mistaken)
  }
}

/** Rejects a caller that awaits something that is not a promise: `await` passes two functions. */
export function rejectAwait(onRejected: unknown, message: string): void {
  if (typeof onRejected !== 'function') return
  onRejected(new EtcdError(message, { code: 'TXN_NOT_COMMITTED', effect: 'none' }))
}
