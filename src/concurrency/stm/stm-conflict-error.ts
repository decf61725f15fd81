import { EtcdError } from '../../core/errors.js'

/** `stm()` gave up after `maxAttempts` conflicts with other writers. Nothing was written. */
export class StmConflictError extends EtcdError {
  override readonly name = 'StmConflictError'

  constructor(attempts: number) {
    super(`all ${attempts} attempts of the transaction conflicted with other writers`, {
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
