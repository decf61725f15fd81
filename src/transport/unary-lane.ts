import type { CallMetadata } from './transport.js'

/**
 * What becomes of a lane's connection. `connecting` is told when a connection was lost, or takes no new calls any more;
 * `failed` when one could not be made, and once more when the reason is known.
 */
export type LaneState =
  | { readonly kind: 'connecting' }
  | { readonly kind: 'connected' }
  | { readonly kind: 'failed'; readonly reason: string | undefined }

/** How a call ended, as gRPC has it. */
export interface CallStatus {
  readonly code: number
  readonly details: string
  /** `false` where it is certain that the member never took the call up. @default true */
  readonly sent?: boolean
}

/** Who started a call and hears what comes of it: at most one message, then one status, then nothing. */
export interface UnaryListener {
  onReceiveMetadata(): void
  onReceiveMessage(message: Buffer): void
  onReceiveStatus(status: CallStatus): void
}

/** A call under way. */
export interface LaneCall {
  /** Ends the call from this side; the member is told to stop. */
  cancelWithStatus(code: number, details: string): void
}

/**
 * Carries unary calls to one member. It keeps one connection for new calls, and comes back by itself, after a backoff,
 * when that is lost; calls under way on the lost one end with a status.
 */
export interface UnaryLane {
  /** Starts to connect, and keeps at it until closed; each change of state is told from now on. */
  connect(): void
  /** Sends one message. `deadlineAt` is on the clock of `performance.now()`; the member is told of it. */
  startUnary(
    path: string,
    message: Buffer,
    metadata: CallMetadata,
    deadlineAt: number,
    listener: UnaryListener,
  ): LaneCall
  /** Ends the connection and every call on it. */
  close(): void
}
