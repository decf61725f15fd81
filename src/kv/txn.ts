import { EtcdError, InvalidArgumentError } from '../core/errors.js'
import { describe } from '../core/validate.js'
import type { RequestOp, TxnRequest, TxnResponse } from '../protobuf/generated/messages.js'
import type { CallOptions } from '../transport/transport.js'
import type { Comparison } from './compare.js'
import { Operation } from './operation.js'
import type { ResponseInfo } from './results.js'
import { rejectAwait } from './txn-part.js'

/** @inline */
type Operations = readonly Operation[]

/** The results of a list of operations, in its order. */
export type ResultsOf<Ops extends Operations> = {
  -readonly [Index in keyof Ops]: Ops[Index] extends Operation<infer Result> ? Result : never
}

/** The branch that ran, and the results of its operations in order. */
export type TxnOutcome<Then extends Operations, Else extends Operations> =
  | { readonly succeeded: true; readonly responses: ResultsOf<Then> }
  | { readonly succeeded: false; readonly responses: ResultsOf<Else> }

/** The result of `commit()`. */
export type TxnResult<Then extends Operations, Else extends Operations> = ResponseInfo & TxnOutcome<Then, Else>

/** Sends a transaction. */
export type TxnSender = (
  request: TxnRequest,
  options: CallOptions | undefined,
) => Promise<{ readonly info: ResponseInfo; readonly response: TxnResponse }>

/**
 * A transaction: if all comparisons hold, the operations of `then` run, otherwise those of `else`, atomically and at one
 * revision. Each method returns a new transaction, so that a partial one can be reused.
 *
 * `commit()` sends it. A transaction is not a promise: awaiting it rejects with `TXN_NOT_COMMITTED`.
 *
 * @example
 * ```ts
 * const result = await etcd
 *   .txn()
 *   .if(key('leader').missing())
 *   .then(put('leader', 'me'))
 *   .else(get('leader'))
 *   .commit()
 * ```
 */
export class Txn<Then extends Operations = [], Else extends Operations = []> {
  readonly #send: TxnSender
  readonly #comparisons: readonly Comparison[]
  readonly #then: Operations
  readonly #else: Operations

  constructor(
    send: TxnSender,
    comparisons: readonly Comparison[] = [],
    then: Operations = [],
    orElse: Operations = [],
  ) {
    this.#send = send
    this.#comparisons = comparisons
    this.#then = then
    this.#else = orElse
  }

  /**
   * Adds comparisons; all of them must hold. Without any, `then` runs.
   *
   * @throws `InvalidArgumentError` for anything but comparisons.
   */
  if(...comparisons: readonly Comparison[]): Txn<Then, Else> {
    for (const comparison of comparisons) {
      if (typeof comparison?.compare !== 'object')
        throw wrong('if', "comparisons such as key('a').exists()", comparison)
    }
    return new Txn(this.#send, [...this.#comparisons, ...comparisons], this.#then, this.#else)
  }

  /**
   * Adds operations to run if the comparisons hold.
   *
   * @throws `InvalidArgumentError` for anything but operations.
   */
  then<const Ops extends Operations>(...operations: Ops): Txn<[...Then, ...Ops], Else> {
    const [first, reject] = operations as readonly unknown[]
    // `await` calls `then` with two functions: reject, instead of leaving the caller waiting forever.
    if (typeof first === 'function') return rejectAwait(reject, notCommitted) as never
    checkOperations('then', operations)
    return new Txn(this.#send, this.#comparisons, [...this.#then, ...operations], this.#else)
  }

  /**
   * Adds operations to run if a comparison does not hold.
   *
   * @throws `InvalidArgumentError` for anything but operations.
   */
  else<const Ops extends Operations>(...operations: Ops): Txn<Then, [...Else, ...Ops]> {
    checkOperations('else', operations)
    return new Txn(this.#send, this.#comparisons, this.#then, [...this.#else, ...operations])
  }

  /**
   * Sends the transaction. A failed transaction of reads is retried on another member; one that writes only if it is certain
   * that it had no effect.
   *
   * @returns Whether the comparisons held, and the results of the branch that ran.
   * @throws `TOO_MANY_OPS` for more than `maxTxnOps` operations or comparisons, `DUPLICATE_KEY` if it writes a key twice. An
   *   error with the effect `unknown` means that it may have been applied.
   */
  async commit(options?: CallOptions): Promise<TxnResult<Then, Else>> {
    const { info, response } = await this.#send(this.#request(), options)
    return { ...info, ...this.#read(response) }
  }

  /** The transaction as an operation of another one; etcd 3.3 or later. */
  asOperation(): Operation<TxnOutcome<Then, Else>> {
    return new Operation({ requestTxn: this.#request() }, ({ responseTxn }) => {
      if (responseTxn === undefined) throw new EtcdError('the response lacks a nested transaction', badAnswer)
      return this.#read(responseTxn)
    })
  }

  #request(): TxnRequest {
    return {
      compare: this.#comparisons.map(({ compare }) => compare),
      success: this.#then.map(({ request }) => request),
      failure: this.#else.map(({ request }) => request),
    }
  }

  #read({ succeeded, responses }: TxnResponse): TxnOutcome<Then, Else> {
    const branch = succeeded ? this.#then : this.#else
    if (responses.length !== branch.length) {
      throw new EtcdError(`${branch.length} results expected, got ${responses.length}`, badAnswer)
    }
    const results = branch.map(({ read }, index) => read(responses[index] ?? noResponse))
    // The branch has the operations that the type parameters list.
    return { succeeded, responses: results } as TxnOutcome<Then, Else>
  }
}

/** Starts a transaction to nest in another one with `asOperation()`. */
export function txn(): Txn {
  return new Txn(() => {
    throw new InvalidArgumentError(
      'a transaction made by txn() can only be nested: start one to commit with etcd.txn()',
    )
  })
}

/** Whether the transaction changes nothing, whichever branch runs. */
export function isReadOnly(request: TxnRequest): boolean {
  return operationsOf(request).every(
    ({ requestRange, requestTxn }) =>
      requestRange !== undefined || (requestTxn !== undefined && isReadOnly(requestTxn)),
  )
}

/**
 * A member evaluates a transaction without operations on its local state, which may be behind the cluster. With a read it
 * asks the leader first, so such a transaction gets a read whose response is ignored.
 */
export function linearizableRequest(request: TxnRequest): TxnRequest {
  const [first] = request.compare ?? []
  if (first === undefined || operationsOf(request).length > 0) return request
  const { key, rangeEnd } = first
  return { ...request, failure: [{ requestRange: { key, rangeEnd, limit: 1, keysOnly: true } }] }
}

/** The size that etcd limits: the longest of the three lists, plus the size of the largest nested transaction. */
export function txnSize(request: TxnRequest): number {
  const { compare = [], success = [], failure = [] } = request
  const nested = operationsOf(request).map(({ requestTxn }) => (requestTxn === undefined ? 0 : txnSize(requestTxn)))
  return Math.max(compare.length, success.length, failure.length) + Math.max(0, ...nested)
}

const notCommitted = 'the transaction was awaited but not sent: call commit()'
const badAnswer = { code: 'PROTOCOL_ERROR', effect: 'unknown' } as const
const noResponse = {
  responseRange: undefined,
  responsePut: undefined,
  responseDeleteRange: undefined,
  responseTxn: undefined,
}

function operationsOf({ success = [], failure = [] }: TxnRequest): readonly RequestOp[] {
  return [...success, ...failure]
}

function checkOperations(branch: string, operations: Operations): void {
  for (const operation of operations) {
    if (typeof operation?.request !== 'object') throw wrong(branch, "operations such as put('a', '1')", operation)
  }
}

function wrong(branch: string, expected: string, actual: unknown): InvalidArgumentError {
  return new InvalidArgumentError(`${branch}() takes ${expected}, got ${describe(actual)}`)
}
