import type { EjectReason } from './ejection.js'

/** The state of one endpoint. `MemberHealth` makes the transitions. */
export type ConnectionState =
  | { readonly kind: 'idle' }
  | { readonly kind: 'connecting'; readonly error: string | undefined }
  | {
      readonly kind: 'probing'
      readonly ejections: number
      readonly after: EjectReason | undefined
      /** What the probe before this one was answered. */
      readonly detail: string | undefined
    }
  | { readonly kind: 'ready' }
  | {
      readonly kind: 'ejected'
      readonly ejections: number
      readonly reason: EjectReason
      /** What the probe was answered, where that explains more than the reason. */
      readonly detail: string | undefined
      readonly timer: NodeJS.Timeout
    }
  | { readonly kind: 'closed' }

/** What a member does in its cluster. */
export type MemberRole = 'leader' | 'follower' | 'learner'

/** Why a member is not healthy; `undefined` for a healthy one, and for a new connection that has not been probed yet. */
export function ejectReasonOf(state: ConnectionState): EjectReason | undefined {
  if (state.kind === 'ejected') return state.reason
  return state.kind === 'probing' ? state.after : undefined
}
