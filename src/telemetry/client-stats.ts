/** What is known of a watch now. */
export interface WatchStats {
  readonly state: string
  readonly endpoint: string | undefined
  readonly revision: number
  readonly lag: number
  readonly buffered: number
  readonly reconnects: number
}

/** What is known of an informer now. */
export interface InformerStats {
  readonly state: string
  readonly endpoint: string | undefined
  readonly size: number
  readonly revision: number
  readonly resyncs: number
  readonly reconnects: number
  readonly handlers: readonly { readonly pending: number; readonly overflows: number }[]
}
