/** The outcome of every operation of a run. */
export class Samples {
  readonly #latenciesMs: Float64Array
  readonly #endedAtMs: Float64Array
  #count = 0
  #failed = 0
  readonly #errors = new Map<string, number>()
  readonly #members = new Map<string, number>()

  /** With room for `capacity` operations, so that a run allocates nothing for them. */
  constructor(capacity: number) {
    this.#latenciesMs = new Float64Array(capacity)
    this.#endedAtMs = new Float64Array(capacity)
  }

  /** Operations that are over, failed ones too. */
  get done(): number {
    return this.#count + this.#failed
  }

  get failed(): number {
    return this.#failed
  }

  /** How long the operations took that succeeded, in the order in which they ended. */
  get latenciesMs(): Float64Array {
    return this.#latenciesMs.subarray(0, this.#count)
  }

  /** When they ended, on the clock of `performance.now()`. */
  get endedAtMs(): Float64Array {
    return this.#endedAtMs.subarray(0, this.#count)
  }

  /** Failures by their message. */
  get errors(): ReadonlyMap<string, number> {
    return this.#errors
  }

  /** Operations by the member that answered. */
  get members(): ReadonlyMap<string, number> {
    return this.#members
  }

  /** An operation that has just ended. */
  succeeded(latencyMs: number, member: string | undefined): void {
    this.#latenciesMs[this.#count] = latencyMs
    this.#endedAtMs[this.#count] = performance.now()
    this.#count += 1
    if (member !== undefined) this.#members.set(member, (this.#members.get(member) ?? 0) + 1)
  }

  /** An operation that has failed. */
  hasFailed(message: string): void {
    this.#failed += 1
    this.#errors.set(message, (this.#errors.get(message) ?? 0) + 1)
  }

  /** Adds what another process has measured. */
  addAll({ latenciesMs, endedAtMs, errors, members }: MeasuredElsewhere): void {
    this.#latenciesMs.set(latenciesMs, this.#count)
    this.#endedAtMs.set(endedAtMs, this.#count)
    this.#count += latenciesMs.length
    for (const [member, count] of members) this.#members.set(member, (this.#members.get(member) ?? 0) + count)
    for (const [message, count] of errors) {
      this.#failed += count
      this.#errors.set(message, (this.#errors.get(message) ?? 0) + count)
    }
  }
}

/** Samples of another process. */
export interface MeasuredElsewhere {
  readonly latenciesMs: Float64Array
  readonly endedAtMs: Float64Array
  readonly errors: Iterable<readonly [message: string, count: number]>
  readonly members: Iterable<readonly [endpoint: string, count: number]>
}
