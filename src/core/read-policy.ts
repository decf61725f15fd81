import { InvalidArgumentError } from './errors.js'
import { type Bytes, covers, type EncodedRange, prefixRange } from './key-range.js'
import { assertKnownOptions, describe, oneOf, ownBytes } from './validate.js'

/**
 * How a read is served:
 *
 * - `linearizable`: it sees every write that was acknowledged before the read. Costs a round trip between members.
 * - `serializable`: one member answers from its own data. The read may miss the latest writes of other clients, but is never
 *   older than what this client has already seen.
 * - `cached`: from the memory of this process, an informer of this client or the read cache, if that has the keys; otherwise
 *   as a serializable read. It may be older than what this client has seen, but includes all writes of this client.
 *
 * See [etcd's API guarantees](https://etcd.io/docs/latest/learning/api_guarantees/).
 */
export type ReadMode = 'linearizable' | 'serializable' | 'cached'

/** The preferred member of a call. If no healthy member matches, any other one serves it. */
export type Preference = 'nearest' | 'leader' | 'learner'

/** How reads are served, and by which member. */
export interface ReadPolicy {
  /** @default 'linearizable' */
  readonly mode?: ReadMode | undefined
  /** The preferred member. Default: all members in turn. A learner serves serializable reads only. */
  readonly prefer?: Preference | undefined
  /**
   * What to do with a linearizable read while the cluster has no leader. With `serializable`, any member answers after a
   * third of the call's time limit, at most 2 s, and the result has `stale: true`. By default the read fails, and so does a
   * read whose own options set `mode` without `fallback`.
   */
  readonly fallback?: 'serializable' | undefined
}

/** The policy for the keys under a prefix. */
export interface ReadRule extends ReadPolicy {
  readonly prefix: Bytes
}

/** The read policy of a client. */
export interface ReadPolicyOptions {
  /** The policy of keys without a rule. @default 'linearizable' */
  readonly default?: ReadMode | ReadPolicy | undefined
  /** Rules for prefixes. The longest prefix that covers the whole read applies; options of a call override it. */
  readonly rules?: readonly ReadRule[] | undefined
}

/** A policy with defaults applied. */
export interface ResolvedReadPolicy {
  readonly mode: ReadMode
  readonly prefer: Preference | undefined
  readonly fallback: 'serializable' | undefined
}

/** The option names of a `ReadPolicy`. */
export const readPolicyOptions = ['mode', 'prefer', 'fallback'] as const

/** Validates the policy of a call, a rule or the default. */
export function checkReadPolicy({ mode, prefer, fallback }: ReadPolicy): void {
  if (mode !== undefined) oneOf('mode', mode, ['linearizable', 'serializable', 'cached'])
  if (prefer !== undefined) oneOf('prefer', prefer, ['nearest', 'leader', 'learner'])
  if (fallback !== undefined) oneOf('fallback', fallback, ['serializable'])
  if (mode !== undefined && mode !== 'linearizable' && fallback !== undefined) {
    throw new InvalidArgumentError(`\`fallback\` applies to linearizable reads only: a ${mode} read needs no leader`)
  }
}

const anyRange = prefixRange(Buffer.alloc(0))

/** Finds the policy of a read: the options of the call, then the longest matching rule, then the default. */
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

  /** The policy of every read without options; `undefined` if it depends on the keys. */
  get plain(): ResolvedReadPolicy | undefined {
    return this.#plain
  }

  resolve(range: EncodedRange, own: ReadPolicy | undefined): ResolvedReadPolicy {
    const rule = this.#rules.length === 0 ? undefined : this.#rules.find((rule) => covers(rule.range, range))
    const base = rule?.policy ?? this.#default
    const mode = own?.mode ?? base.mode ?? this.#default.mode ?? 'linearizable'
    // A call that explicitly requests a linearizable read gets no other result.
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
  return { range: prefixRange(ownBytes('prefix', rule.prefix)), policy: rule }
}
