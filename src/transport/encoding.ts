import type { Method } from '../protobuf/methods.js'
import { progressOf } from './call-progress.js'
import type { CallContext } from './transport.js'

/**
 * The request as bytes, encoded when it is asked for first: the caller's buffers may change as soon as the call is made,
 * and a repeat sends what the first attempt sent.
 */
export function encodeOnce<Request>(
  method: Pick<Method<Request, unknown>, 'encode'>,
  request: Request,
  context: CallContext,
): Buffer {
  const { encodedRequest, message } = context.progress
  if (message !== undefined && encodedRequest === request) return message
  return setMessage(context, request, method.encode(request))
}

/** Gives a call the bytes that its request was encoded to before. */
export function setMessage(context: CallContext, request: unknown, message: Buffer): Buffer {
  const encoding = progressOf.encoding(context)
  encoding.encodedRequest = request
  encoding.message = message
  return message
}
