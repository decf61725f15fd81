import { isIP } from 'node:net'
import { type ConnectionOptions, checkServerIdentity } from 'node:tls'
import type { Credentials } from './credentials.js'

/** The options for a TLS connection to a member whose certificate is verified for `name`, a host name or an IP address. */
export function tlsOptions(tls: NonNullable<Credentials['tls']>, name: string): ConnectionOptions {
  return {
    ...tls,
    ALPNProtocols: ['h2'],
    // SNI takes no IP addresses, and newer Nodes reject them. The certificate is verified for the address all the same.
    servername: isIP(name) === 0 ? name : '',
    checkServerIdentity: (_, certificate) => checkServerIdentity(name, certificate),
  }
}
