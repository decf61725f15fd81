import { type CallOptions, checkedOptions } from '../call-options.js'
import type { KeyPrefix } from '../key-prefix.js'
import { toBuffer } from '../range.js'
import { CompareResult, CompareTarget } from '../rpc/enums.js'
import type { KVClient } from '../rpc/kv-clients.js'
import type { ICompare, IRequestOp, ITxnResponse } from '../rpc/kv-messages.js'
import { toHexId, toInteger } from '../rpc/request.js'
import { assertWithin, type IOperation, operationOf } from './operation.js'

/** How a key can be compared. */
export const comparator = {
  '==': CompareResult.Equal,
  '===': CompareResult.Equal,
  '>': CompareResult.Greater,
  '<': CompareResult.Less,
  '!=': CompareResult.NotEqual,
  '!==': CompareResult.NotEqual,
} as const

/** What of a key can be compared, and the field of a request that holds the operand. */
export const compareTarget: { readonly [Target in keyof typeof CompareTarget]: keyof ICompare } = {
  Value: 'value',
  Version: 'version',
  Create: 'create_revision',
  Mod: 'mod_revision',
  Lease: 'lease',
}

/** A target of a comparison. */
export interface ICompareTarget {
  value: CompareTarget
  key: keyof ICompare
}

type Clause = IRequestOp | IOperation

/** A transaction: comparisons, and what is done if all of them hold, or not. */
export class ComparatorBuilder {
  readonly #kv: KVClient
  readonly #namespace: KeyPrefix
  readonly #compare: ICompare[] = []
  #success: readonly Promise<IRequestOp>[] = []
  #failure: readonly Promise<IRequestOp>[] = []
  #callOptions: CallOptions | undefined

  constructor(kv: KVClient, namespace: KeyPrefix) {
    this.#kv = kv
    this.#namespace = namespace
  }

  /** Sets the options of the call. */
  options(options: CallOptions | undefined): this {
    this.#callOptions = checkedOptions(options)
    return this
  }

  /** Adds a comparison. */
  and(
    key: string | Buffer,
    column: keyof typeof CompareTarget,
    cmp: keyof typeof comparator,
    value: string | Buffer | number,
  ): this {
    assertWithin(compareTarget, column, 'comparison target in client.and(...)')
    assertWithin(comparator, cmp, 'comparator in client.and(...)')
    this.#compare.push({
      key: this.#namespace.add(toBuffer(key)),
      result: comparator[cmp],
      target: CompareTarget[column],
      [compareTarget[column]]: operandOf(column, value),
    })
    return this
  }

  /**
   * What is done if all comparisons hold. To await the builder calls this method as well, with functions: that rejects,
   * since the transaction was not committed.
   */
  then(...clauses: Clause[]): this {
    if (isAwait(clauses)) clauses[1](new Error('the transaction was awaited but never sent: call commit()'))
    else this.#success = this.mapOperations(clauses)
    return this
  }

  /** What is done if a comparison does not hold. */
  else(...clauses: Clause[]): this {
    this.#failure = this.mapOperations(clauses)
    return this
  }

  /** Sends the transaction. */
  async commit(): Promise<ITxnResponse> {
    const [success, failure] = await Promise.all([Promise.all(this.#success), Promise.all(this.#failure)])
    return this.#kv.txn({ compare: this.#compare, success, failure }, this.#callOptions)
  }

  mapOperations(ops: readonly Clause[]): Promise<IRequestOp>[] {
    return ops.map((clause) => {
      const op = operationOf(clause)
      // A failure is that of `commit()`.
      op.catch(() => {})
      return op
    })
  }
}

function operandOf(column: keyof typeof CompareTarget, value: string | Buffer | number): Buffer | string | number {
  if (column === 'Value') return toBuffer(value, 'value')
  if (column === 'Lease') toHexId('value', value)
  else toInteger('value', value)
  return value as string | number
}

function isAwait(clauses: readonly unknown[]): clauses is [unknown, (error: Error) => void] {
  return typeof clauses[0] === 'function' && typeof clauses[1] === 'function'
}
