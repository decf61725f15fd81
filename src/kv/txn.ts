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

/** Which branch ran, and the results of its operations, in order. */
export type TxnOutcome<Then extends Operations, Else extends Operations> =
  | { readonly succeeded: true; readonly responses: ResultsOf<Then> }
  | { readonly succeeded: false; readonly responses: ResultsOf<Else> }

/** What `commit()` resolves to. */
export type TxnResult<Then extends Operations, Else extends Operations> = ResponseInfo & TxnOutcome<Then, Else>

/** Sends a transaction; the KV service's part of `commit()`. */
export type TxnSender = (
  request: TxnRequest,
  options: CallOptions | undefined,
) => Promise<{ readonly info: ResponseInfo; readonly response: TxnResponse }>

/**
 * A transaction: if all comparisons hold, the operations of `then` run, otherwise those of `else`, all at one revision and
 * nothing in between. Each step gives a new transaction, so one can be kept and built upon.
 *
 * `commit()` sends it. A transaction is not a promise: to await it by mistake rejects with `TXN_NOT_COMMITTED`.
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

  /** Adds comparisons; all of them must hold. Without any, `then` runs. */
  if(...comparisons: readonly Comparison[]): Txn<Then, Else> {
    for (const comparison of comparisons) {
      if (typeof comparison?.compare !== 'object')
        throw wrong('if', "comparisons such as key('a').exists()", comparison)
    }
    return new Txn(this.#send, [...this.#comparisons, ...comparisons], this.#then, this.#else)
  }

  /** Adds operations to run if the comparisons hold. */
  then<const Ops extends Operations>(...operations: Ops): Txn<[...Then, ...Ops], Else> {
    const [first, reject] = operations as readonly unknown[]
    // `await` calls `then` with two functions: reject, instead of leaving the caller waiting for ever.
    if (typeof first === 'function') return rejectAwait(reject, notCommitted) as never
    checkOperations('then', operations)
    return new Txn(this.#send, this.#comparisons, [...this.#then, ...operations], this.#else)
  }

  /** Adds operations to run if a comparison does not hold. */
  else<const Ops extends Operations>(...operations: Ops): Txn<Then, [...Else, ...Ops]> {
    checkOperations('else', operations)
    return new Txn(this.#send, this.#comparisons, this.#then, [...this.#else, ...operations])
  }

  /**
   * Sends the transaction. One that only reads is repeated on another member when it fails; one that writes is not, unless
   * it is certain that it had no effect.
   */
  async commit(options?: CallOptions): Promise<TxnResult<Then, Else>> {
    const { info, response } = await this.#send(this.#request(), options)
    return { ...info, ...this.#read(response) }
  }

  /** The transaction as one operation of another; etcd 3.3 or later. */
  asOperation(): Operation<TxnOutcome<Then, Else>> {
    return new Operation({ requestTxn: this.#request() }, ({ responseTxn }) => {
      if (responseTxn === undefined) throw new EtcdError('the answer lacks a nested transaction', badAnswer)
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
    // The branch holds the operations that the type parameters list.
    return { succeeded, responses: results } as TxnOutcome<Then, Else>
  }
}

/** A transaction to nest in another one by `asOperation()`. */
export function txn(): Txn {
  return new Txn(() => {
    throw new InvalidArgumentError('a transaction made by txn() is for nesting: start one to commit with etcd.txn()')
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
 * A member evaluates a transaction without operations on its own state, which may lag behind the cluster. With a read it asks
 * the leader first, so such a transaction gets one, whose answer nobody needs.
 */
export function linearizableRequest(request: TxnRequest): TxnRequest {
  const [first] = request.compare ?? []
  if (first === undefined || operationsOf(request).length > 0) return request
  const { key, rangeEnd } = first
  return { ...request, failure: [{ requestRange: { key, rangeEnd, limit: 1, keysOnly: true } }] }
}

/** The size that etcd bounds: the longest of the three lists, and what the largest nested transaction adds to it. */
export function txnSize(request: TxnRequest): number {
  const { compare = [], success = [], failure = [] } = request
  const nested = operationsOf(request).map(({ requestTxn }) => (requestTxn === undefined ? 0 : txnSize(requestTxn)))
  return Math.max(compare.length, success.length, failure.length) + Math.max(0, ...nested)
}

const notCommitted = 'the transaction was awaited but never sent: call commit()'
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
