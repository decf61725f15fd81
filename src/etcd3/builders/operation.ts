import type { IRequestOp } from '../rpc/kv-messages.js'

/** What can be a part of a transaction. */
export interface IOperation {
  op(): Promise<IRequestOp>
}

/** Throws unless `value` is one of the names. */
export function assertWithin(names: object, value: string, thing: string): void {
  if (Object.hasOwn(names, value)) return
  const known = Object.keys(names).filter((name) => Number.isNaN(Number(name)))
  throw new Error(`Unexpected "${value}" in ${thing}. Possible values are: "${known.join('" "')}"`)
}
