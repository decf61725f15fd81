/** A key as a read shows it. */
export interface SeenKey {
  readonly value: string
  readonly createRevision: number
  readonly modRevision: number
  readonly version: number
}

/** A condition of a transaction. A key that does not exist has 0 for each number, and fails each comparison of values. */
export interface RecordedCompare {
  readonly key: string
  readonly target: 'version' | 'createRevision' | 'modRevision' | 'value'
  readonly result: '=' | '!=' | '<' | '>'
  readonly operand: number | string
}

export type RecordedStep =
  | { readonly type: 'put'; readonly key: string; readonly value: string }
  | { readonly type: 'delete'; readonly key: string }
  | { readonly type: 'get'; readonly key: string }

/**
 * The result of one step: the number of deleted keys, the key that was read or `null`, nothing for a put. Where the outcome is
 * known from elsewhere, the result of a deletion is open.
 */
export interface StepResult {
  readonly deleted?: number
  readonly kv?: SeenKey | null
}

export interface RecordedOutput {
  /** The revision of the response header. */
  readonly revision: number
  readonly succeeded: boolean
  readonly results: readonly StepResult[]
}

/**
 * One call of a client. Each is a transaction: a put, a deletion or a read alone has no conditions. Times are on one clock;
 * `returnedAt` and `output` are `null` where the outcome is unknown: the call may take effect at any later time, or never.
 */
export interface RecordedCall {
  readonly client: number
  readonly calledAt: number
  readonly returnedAt: number | null
  readonly compares: readonly RecordedCompare[]
  readonly success: readonly RecordedStep[]
  readonly failure: readonly RecordedStep[]
  readonly output: RecordedOutput | null
}
