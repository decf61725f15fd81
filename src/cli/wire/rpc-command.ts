import type { Method } from '../../protobuf/methods.js'
import { type Command, type CommandSpec, type Context, defineCommand, type Flags, type Invocation } from '../command.js'
import { type CallTarget, unary } from './calls.js'
import { type Printable, print } from './print.js'
import { responseType } from './schema.js'

/** The definition of a command that makes one call and prints its response. */
export interface RpcCommandSpec<Table extends Flags, Request, Response extends object>
  extends Omit<CommandSpec<Table>, 'run'> {
  readonly method: Method<Request, Response>
  /** Makes the request, before anything is sent. */
  request(invocation: Invocation<Table>, context: Context): Request | Promise<Request>
  /** How the call is made. */
  target?(invocation: Invocation<Table>): Omit<CallTarget, 'signal'>
  /** The simple form of the response; `undefined` prints nothing. */
  text(response: Response, invocation: Invocation<Table>): string | undefined
  /** The other forms, if they differ from those of the message. */
  forms?(response: Response): Omit<Printable, 'type' | 'message' | 'text'>
}

/** Makes a command that makes one call and prints its response. */
export function defineRpc<const Table extends Flags, Request, Response extends object>(
  spec: RpcCommandSpec<Table, Request, Response>,
): Command {
  const { method, request, target, text, forms, ...command } = spec
  return defineCommand<Table>({
    ...command,
    async run(context, invocation) {
      const message = await unary(context.client(), method, await request(invocation, context), {
        signal: context.signal,
        ...target?.(invocation),
      })
      const type = responseType(method.name)
      await print(context.output, { type, message, text: text(message, invocation), ...forms?.(message) })
      return 0
    },
  })
}
