import { EtcdError } from '../../core/errors.js'
import type { KeyValue } from '../../core/key-value.js'

/**
 * The answer to the removal of an item from a queue was lost: this call has taken the item, or another consumer has, or will.
 * Process `item` if it may be processed twice, and drop it if it may be lost.
 */
export class ClaimUnknownError extends EtcdError {
  override readonly name = 'ClaimUnknownError'
  readonly item: KeyValue

  constructor(item: KeyValue, { endpoint, method, attempts, rawMessage }: EtcdError, cause: unknown) {
    super(`it is unknown which consumer has taken ${item.key.toString()}: ${rawMessage}`, {
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
