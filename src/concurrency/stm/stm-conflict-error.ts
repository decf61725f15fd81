import { EtcdError } from '../../core/errors.js'

/** `stm()` gave up: other writers came first in every one of its attempts. Nothing was written. */
export class StmConflictError extends EtcdError {
  override readonly name = 'StmConflictError'

  constructor(attempts: number) {
    super(`other writers came first in all ${attempts} attempts of the transaction`, {
      code: 'STM_CONFLICT',
      effect: 'none',
      retryable: true,
      attempts,
    })
  }
}

declare module '../../core/errors.js' {
  interface ErrorClasses {
    readonly STM_CONFLICT: StmConflictError
  }
}
