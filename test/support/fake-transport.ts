import type { ResponseHeader } from '../../src/protobuf/generated/messages.js'
import { progressOf } from '../../src/transport/call-progress.js'
import type { CallContext, Transport } from '../../src/transport/transport.js'

/** One call that reached a fake transport. */
export interface FakeCall {
  readonly method: string
  readonly request: unknown
  readonly context: CallContext
}

/** A transport that answers from a function and records its calls. What the function throws, the call rejects with. */
export function fakeTransport(
  answer: (call: FakeCall, index: number) => unknown,
): Transport & { readonly calls: FakeCall[] } {
  const calls: FakeCall[] = []
  return {
    calls,
    async unary(method, request, context) {
      const call = { method: method.name, request, context }
      calls.push(call)
      progressOf.wire(context).attempts += 1
      // The test knows which answer belongs to the method that it calls.
      return (await answer(call, calls.length - 1)) as never
    },
  }
}

/** The header of an answer. */
export function header(fields: Partial<ResponseHeader> = {}): ResponseHeader {
  return { clusterId: 'c1', memberId: 'a1', revision: 1, raftTerm: 2, ...fields }
}
