import { EtcdError, isEtcdError } from '../core/errors.js'
import { sleep } from '../core/wait.js'
import { progressOf } from '../transport/call-progress.js'
import type { CallContext, Interceptor } from '../transport/transport.js'
import { isTokenRefusal, type Token, type TokenReason } from './token.js'
import type { TokenSource } from './token-source.js'

/**
 * Rejections of a call's token before the error counts as final. More tokens would not help then. If users and roles
 * keep changing, waiting does, so the retry interceptor continues with delays.
 */
const maxRefusals = 3
/** Delay before a call is sent again to a member that does not know the token yet. */
const spreadPauseMs = 20

/** Adds the token to every call. When a member rejects it, all affected calls wait for one new token. */
export function authInterceptor(source: TokenSource): Interceptor {
  return async (method, request, context, next) => {
    const { progress } = context
    let token = source.current() ?? (await nextToken(source, 'first', context))
    let refused = 0
    for (;;) {
      try {
        progressOf.auth(context).token = token.value
        const response = await next(method, request, context)
        token.used(progress.endpoint)
        return response
      } catch (error) {
        if (!isEtcdError(error) || !isTokenRefusal(error.code)) throw error
        if (!source.renews) throw final(error)
        if (error.code === 'INVALID_AUTH_TOKEN' && token.maySpreadTo(progress.endpoint)) {
          await sleep(spreadPauseMs, context.signal)
          continue
        }
        // Without an endpoint, no member rejected the token: it was replaced while the call waited.
        if (error.endpoint !== undefined) refused += 1
        if (refused === maxRefusals) throw error.code === 'AUTH_OLD_REVISION' ? error : final(error)
        source.rejected(token, error.code)
        token = await nextToken(source, 'rejected', context)
      }
    }
  }
}

async function nextToken(source: TokenSource, reason: TokenReason, context: CallContext): Promise<Token> {
  const startedAt = performance.now()
  try {
    return await source.get(reason, context)
  } finally {
    progressOf.auth(context).authMs += performance.now() - startedAt
  }
}

/** Marks an error as not retryable: a new token did not help. */
function final(error: EtcdError): EtcdError {
  const { code, effect, endpoint, method, grpcCode, rawMessage } = error
  return new EtcdError(rawMessage, { code, effect, endpoint, method, grpcCode, retryable: false, cause: error })
}
