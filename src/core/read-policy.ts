import { InvalidArgumentError } from './errors.js'
import { type Bytes, covers, type EncodedRange, prefixRange } from './key-range.js'
import { assertKnownOptions, describe, keyBytes, oneOf } from './validate.js'

/**
 * How a read is served.
 *
 * - `linearizable`: it sees every write that was acknowledged before it was made; costs a round trip between members.
 * - `serializable`: answered by one member from what it has; may miss the newest writes of others, but never goes behind
 *   what this client has already seen.
 * - `cached`: from the memory of this process where that has it, an informer of this client or the read cache; else as a
 *   serializable read. It may be older than what this client has seen, but never lacks what this client has written.
 */
export type ReadMode = 'linearizable' | 'serializable' | 'cached'

/** Which member a call would rather be served by. Where there is none of the kind, any healthy member serves it. */
export type Preference = 'nearest' | 'leader' | 'learner'

/** How reads are served and by whom. */
export interface ReadPolicy {
  /** @default 'linearizable' */
  readonly mode?: ReadMode | undefined
  /** Which member should serve it; by default all take turns. A learner serves serializable reads only. */
  readonly prefer?: Preference | undefined
  /**
   * What to do with a linearizable read while the cluster has no leader: `serializable` answers from any member, after a
   * third of the call's time and at most 2 s, with `stale: true` on the result. By default the read fails, as does one that
   * names the mode itself and no fallback.
   */
  readonly fallback?: 'serializable' | undefined
}

/** The policy for the keys under a prefix. */
export interface ReadRule extends ReadPolicy {
  readonly prefix: Bytes
}

/** A client's read-mode policy. */
export interface ReadPolicyOptions {
  /** For keys without a rule. @default 'linearizable' */
  readonly default?: ReadMode | ReadPolicy | undefined
  /** Rules for prefixes; the longest prefix that covers the whole read wins. Options of a call come before them. */
  readonly rules?: readonly ReadRule[] | undefined
}

/** A policy with nothing left open. */
export interface ResolvedReadPolicy {
  readonly mode: ReadMode
  readonly prefer: Preference | undefined
  readonly fallback: 'serializable' | undefined
}

/** Names of the options in a `ReadPolicy`. */
export const readPolicyOptions = ['mode', 'prefer', 'fallback'] as const

/** Checks the policy of one call, rule or default. */
export function checkReadPolicy({ mode, prefer, fallback }: ReadPolicy): void {
  if (mode !== undefined) oneOf('mode', mode, ['linearizable', 'serializable', 'cached'])
  if (prefer !== undefined) oneOf('prefer', prefer, ['nearest', 'leader', 'learner'])
  if (fallback !== undefined) oneOf('fallback', fallback, ['serializable'])
  if (mode !== undefined && mode !== 'linearizable' && fallback !== undefined) {
    throw new InvalidArgumentError(`\`fallback\` is for linearizable reads: a ${mode} one needs no leader`)
  }
}

const anyRange = prefixRange(Buffer.alloc(0))

/** Finds the policy for a read: the call's own options first, then the longest rule, then the default. */
export class ReadPolicyTable {
  readonly #default: ReadPolicy
  readonly #plain: ResolvedReadPolicy | undefined
  readonly #rules: readonly { readonly range: EncodedRange; readonly policy: ReadPolicy }[]

  constructor(options: ReadPolicyOptions) {
    assertKnownOptions('reads', options, ['default', 'rules'])
    this.#default = typeof options.default === 'string' ? { mode: options.default } : (options.default ?? {})
    assertKnownOptions('reads.default', this.#default, readPolicyOptions)
    checkReadPolicy(this.#default)
    const { rules = [] } = options
    if (!Array.isArray(rules)) {
      throw new InvalidArgumentError(`\`reads.rules\` must be an array, got ${describe(rules)}`)
    }
    this.#rules = rules.map(parseRule).sort((a, b) => b.range.key.length - a.range.key.length)
    this.#plain = this.#rules.length === 0 ? this.resolve(anyRange, undefined) : undefined
  }

  /** The policy of every read that names none of its own; `undefined` where that depends on the keys. */
  get plain(): ResolvedReadPolicy | undefined {
    return this.#plain
  }

  resolve(range: EncodedRange, own: ReadPolicy | undefined): ResolvedReadPolicy {
    const rule = this.#rules.length === 0 ? undefined : this.#rules.find((rule) => covers(rule.range, range))
    const base = rule?.policy ?? this.#default
    const mode = own?.mode ?? base.mode ?? this.#default.mode ?? 'linearizable'
    // Who asks for linearizable reads by name wants no other answer.
    const inherited = own?.mode === undefined ? base.fallback : undefined
    return {
      mode,
      prefer: own?.prefer ?? base.prefer,
      fallback: mode === 'linearizable' ? (own?.fallback ?? inherited) : undefined,
    }
  }
}

function parseRule(rule: ReadRule): { readonly range: EncodedRange; readonly policy: ReadPolicy } {
  if (typeof rule !== 'object' || rule === null) {
    throw new InvalidArgumentError(`\`reads.rules\` must hold objects with a prefix, got ${describe(rule)}`)
  }
  assertKnownOptions('reads.rules', rule, ['prefix', ...readPolicyOptions])
  checkReadPolicy(rule)
  return { range: prefixRange(keyBytes('prefix', rule.prefix)), policy: rule }
}
