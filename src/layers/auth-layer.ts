import { EtcdError, isEtcdError } from '../core/errors.js'
import type { CallContext, Layer } from '../transport/transport.js'
import { isTokenRefusal, type Token } from './token.js'
import type { TokenSource } from './token-source.js'

/** A token may be outdated again at once while users and roles are being changed, hence more than one try. */
const maxRefusals = 3

/** Adds the token to every call, and gets a new one, once for all calls, when a member refuses it. */
export function authLayer(source: TokenSource): Layer {
  return (inner) => ({
    async unary(method, request, context) {
      let token = source.current() ?? (await source.get('first', context))
      for (let refused = 1; ; refused += 1) {
        try {
          context.token = token.value
          const response = await inner.unary(method, request, context)
          token.used(context.endpoint)
          return response
        } catch (error) {
          if (!isEtcdError(error) || !isTokenRefusal(error.code)) throw error
          if (!source.renews || refused === maxRefusals) throw final(error)
          token = await renewed(token, error, context)
        }
      }
    },
  })

  async function renewed(token: Token, { code }: EtcdError, context: CallContext): Promise<Token> {
    // Users or roles were changed between the member's two looks at them: a token without a revision is as good as before.
    if (code !== 'AUTH_OLD_REVISION' || token.holdsRevision) source.rejected(token)
    return source.get('rejected', context)
  }
}

/** The retry layer must not repeat what a new token did not cure. */
function final(error: EtcdError): EtcdError {
  const { code, effect, endpoint, method, grpcCode, rawMessage } = error
  return new EtcdError(rawMessage, { code, effect, endpoint, method, grpcCode, retryable: false, cause: error })
}
