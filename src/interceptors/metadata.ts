import { progressOf } from '../transport/call-progress.js'
import type { CallMetadata, Interceptor } from '../transport/transport.js'

/** The API level that etcd reports for this client in its metrics. */
const clientApiVersion = '3.7'

/** The metadata of calls with one token: with and without `hasleader`. */
interface MetadataPair {
  readonly token: string | undefined
  readonly plain: CallMetadata
  readonly requireLeader: CallMetadata
}

/**
 * Adds the client's version, the token and, to every call that needs a quorum, `hasleader`: a member without a leader
 * then refuses the call at once, with nothing done, instead of holding it until the member's timeout of 7 s.
 */
export function metadataInterceptor(): Interceptor {
  let current = metadataPair(undefined)
  return (method, request, context, next) => {
    const { token } = context.progress
    if (token !== current.token) current = metadataPair(token)
    const metadata = context.requiresFloor ? current.requireLeader : current.plain
    const { addedMetadata } = context
    progressOf.metadata(context).metadata =
      addedMetadata === undefined ? metadata : Object.freeze({ ...metadata, ...addedMetadata })
    return next(method, request, context)
  }
}

/** The metadata of a call that passes no interceptors. */
export function metadataWith(token: string | undefined): CallMetadata {
  return metadataPair(token).plain
}

/** The metadata of a stream: a member that loses its leader ends the stream instead of leaving it silent. */
export function streamMetadata(token: string | undefined): CallMetadata {
  return metadataPair(token).requireLeader
}

function metadataPair(token: string | undefined): MetadataPair {
  const plain = { 'client-api-version': clientApiVersion, ...(token === undefined ? {} : { token }) }
  return { token, plain: Object.freeze(plain), requireLeader: Object.freeze({ ...plain, hasleader: 'true' }) }
}
