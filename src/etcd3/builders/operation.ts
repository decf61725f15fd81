import { InvalidArgumentError } from '../../core/errors.js'
import { describe } from '../../core/validate.js'
import type { IRequestOp } from '../rpc/kv-messages.js'

/** What can be a part of a transaction. */
export interface IOperation {
  op(): Promise<IRequestOp>
}

/** Throws unless `value` is one of the names. */
export function assertWithin(names: object, value: unknown, thing: string): void {
  if (typeof value === 'string' && Object.hasOwn(names, value)) return
  const known = Object.keys(names).filter((name) => Number.isNaN(Number(name)))
  throw new Error(`Unexpected ${describe(value)} in ${thing}. Possible values are: "${known.join('" "')}"`)
}

const operations = ['request_range', 'request_put', 'request_delete_range', 'request_txn'] as const

/** The part of a transaction for an operation, or for a message that is one already. */
export async function operationOf(clause: IRequestOp | IOperation): Promise<IRequestOp> {
  if (typeof clause === 'object' && clause !== null) {
    if ('op' in clause) return clause.op()
    if (operations.some((name) => name in clause)) return clause
  }
  throw new InvalidArgumentError(`\`then\` and \`else\` must have operations, got ${describe(clause)}`)
}
