import { isIP } from 'node:net'
import { type ConnectionOptions, checkServerIdentity } from 'node:tls'
import type { Credentials } from './credentials.js'

/** How TLS is spoken with a member whose certificate must be for `name`, a host name or an address. */
export function tlsOptions(tls: NonNullable<Credentials['tls']>, name: string): ConnectionOptions {
  return {
    ...tls,
    ALPNProtocols: ['h2'],
    // An address is no name that could be asked for, and newer Nodes refuse it. It is verified all the same.
    servername: isIP(name) === 0 ? name : '',
    checkServerIdentity: (_, certificate) => checkServerIdentity(name, certificate),
  }
}
