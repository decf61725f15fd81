import { EtcdError } from '../../core/errors.js'
import type { KeyValue } from '../../core/key-value.js'

/**
 * The answer to taking an item out of a queue was lost: this call has taken it, or another consumer has, or will. Work on
 * `item` if it may be done twice, and drop it if it may be left undone.
 */
export class ClaimUnknownError extends EtcdError {
  override readonly name = 'ClaimUnknownError'
  readonly item: KeyValue

  constructor(item: KeyValue, { endpoint, method, attempts, rawMessage }: EtcdError, cause: unknown) {
    super(`nobody knows who has taken ${item.key.toString()}: ${rawMessage}`, {
      code: 'CLAIM_UNKNOWN',
      effect: 'unknown',
      endpoint,
      method,
      attempts,
      cause,
    })
    this.item = item
  }
}

declare module '../../core/errors.js' {
  interface ErrorClasses {
    readonly CLAIM_UNKNOWN: ClaimUnknownError
  }
}
