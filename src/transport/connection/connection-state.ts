import type { EjectReason } from './ejection.js'

/** The state of one endpoint; see `Connection` for who moves it. */
export type ConnectionState =
  | { readonly kind: 'idle' }
  | { readonly kind: 'connecting'; readonly error: string | undefined }
  | { readonly kind: 'probing'; readonly ejections: number; readonly after: EjectReason | undefined }
  | { readonly kind: 'ready' }
  | {
      readonly kind: 'ejected'
      readonly ejections: number
      readonly reason: EjectReason
      readonly timer: NodeJS.Timeout
    }
  | { readonly kind: 'closed' }

/** What a member does in its cluster. */
export type MemberRole = 'leader' | 'follower' | 'learner'

/** Why a member is not healthy; `undefined` also for a new connection, of which nobody knows yet whose it is. */
export function ejectReasonOf(state: ConnectionState): EjectReason | undefined {
  if (state.kind === 'ejected') return state.reason
  return state.kind === 'probing' ? state.after : undefined
}
