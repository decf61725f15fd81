import type { CallMetadata, Layer } from '../transport/transport.js'

/** The API level that etcd's metrics show for this client. */
const clientApiVersion = '3.7'

const plain: CallMetadata = Object.freeze({ 'client-api-version': clientApiVersion })
const requireLeader: CallMetadata = Object.freeze({ ...plain, hasleader: 'true' })

/**
 * Adds the client's version and, to every call that needs a quorum, `hasleader`: a member without a leader then refuses
 * the call at once, with nothing done, instead of holding it until its own timeout of 7 s.
 */
export function metadataLayer(): Layer {
  return (inner) => ({
    unary(method, request, context) {
      context.metadata = context.consistent ? requireLeader : plain
      return inner.unary(method, request, context)
    },
  })
}
