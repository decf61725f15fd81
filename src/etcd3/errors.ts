import { isError } from '../core/thrown.js'

/**
 * Present on errors after which the same call may be made again: the failure may pass, and the call has certainly changed
 * nothing.
 */
export const RecoverableError: unique symbol = Symbol('RecoverableError')

/** Whether the call that failed with `error` may be made again. */
export function isRecoverableError(error: Error): boolean {
  return isError(error) && RecoverableError in error
}

abstract class NamedError extends Error {
  constructor(message?: string) {
    super(message)
    Object.defineProperty(this, 'name', { value: new.target.name, configurable: true, writable: true })
  }
}

/** A bug of this client, or a use of it that it does not support. */
export class ClientRuntimeError extends NamedError {}

/** The client was closed before the call, or during it. */
export class ClientClosedError extends NamedError {
  constructor(service: string) {
    super(`the client was closed, so that the ${service} call was not made`)
  }
}

/** An error by its gRPC status. The class of each status follows. */
export class GRPCGenericError extends NamedError {}

/** The wire protocol was broken. */
export class GRPCProtocolError extends GRPCGenericError {}

/** Status 13. */
export class GRPCInternalError extends GRPCGenericError {
  readonly [RecoverableError]: boolean = true
}

/** Status 1. */
export class GRPCCancelledError extends GRPCGenericError {
  readonly [RecoverableError]: boolean = true
}

/** Status 2. */
export class GRPCUnknownError extends GRPCGenericError {
  readonly [RecoverableError]: boolean = true
}

/** Status 3. */
export class GRPCInvalidArgumentError extends GRPCGenericError {}

/** Status 4. */
export class GRPCDeadlineExceededError extends GRPCGenericError {
  readonly [RecoverableError]: boolean = true
}

/** Status 5. */
export class GRPCNotFoundError extends GRPCGenericError {}

/** Status 6. */
export class GRPCAlreadyExistsError extends GRPCGenericError {}

/** Status 8. The spelling is that of etcd3. */
export class GRPCResourceExhastedError extends GRPCGenericError {
  readonly [RecoverableError]: boolean = true
}

/** Status 9. */
export class GRPCFailedPreconditionError extends GRPCGenericError {}

/** Status 10. */
export class GRPCAbortedError extends GRPCGenericError {
  readonly [RecoverableError]: boolean = true
}

/** Status 11. A revision that was compacted, or is in the future. */
export class GRPCOutOfRangeError extends GRPCGenericError {}

/** Status 12. */
export class GRPCNotImplementedError extends GRPCGenericError {}

/** Status 15. */
export class GRPCDataLossError extends GRPCGenericError {}

/** Status 14. No member could be reached, or the connection was lost. */
export class GRPCUnavailableError extends GRPCGenericError {
  readonly [RecoverableError]: boolean = true
}

/** Status 16. */
export class GRPCUnauthenticatedError extends GRPCGenericError {}

/** An error of etcd that has no specific class. */
export class EtcdError extends NamedError {}

/** The lease has expired, or was revoked. */
export class EtcdLeaseInvalidError extends NamedError {
  constructor(leaseID: string) {
    super(`Lease ${leaseID} is expired or revoked`)
  }
}

/** The role exists. */
export class EtcdRoleExistsError extends NamedError {}

/** The user exists. */
export class EtcdUserExistsError extends NamedError {}

/** The user does not have the role. */
export class EtcdRoleNotGrantedError extends NamedError {}

/** There is no such role. */
export class EtcdRoleNotFoundError extends NamedError {}

/** There is no such user. */
export class EtcdUserNotFoundError extends NamedError {}

/** The lock is held by somebody else. */
export class EtcdLockFailedError extends NamedError {}

/** The user name or the password is wrong. */
export class EtcdAuthenticationFailedError extends NamedError {}

/** The members refuse the token. */
export class EtcdInvalidAuthTokenError extends NamedError {}

/** The user may not do this. */
export class EtcdPermissionDeniedError extends NamedError {}

/** The watch stream ended. */
export class EtcdWatchStreamEnded extends NamedError {
  constructor() {
    super('The etcd watch stream was unexpectedly ended')
  }
}

/** A value was proclaimed by a campaign that was resigned, or whose key is gone. */
export class NotCampaigningError extends NamedError {}

/** Other writers came first in every attempt of a software transaction. */
export class STMConflictError extends NamedError {
  constructor() {
    super('A conflict occurred executing the software transaction')
  }
}
