import { type CallOptions, resolveCallOptions, toEngineOptions } from '../call-options.js'
import type { CallContext } from './call-context.js'
import type { ICallable, StreamingClient } from './callable.js'

/** Opens the stream of a streaming call. */
export function openStream<Stream>(
  callable: ICallable<unknown>,
  context: Extract<CallContext, { readonly isStream: true }>,
  options: CallOptions | undefined,
): Promise<Stream> {
  return callable.withConnection(context.service, ({ client, metadata }) => {
    const resolved = resolveCallOptions(options, callable.callOptionsFactory, context)
    toEngineOptions(resolved)
    return (client as StreamingClient)[context.method]?.(metadata, resolved) as Stream
  })
}
