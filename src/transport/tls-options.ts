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

/**
 * The error of a connection that ended during the TLS handshake. A server that speaks plain text closes or resets it, and its
 * reset may discard what it answered: a reset counts as a close.
 */
export function handshakeError(error: Error): Error {
  const isReset = 'code' in error && error.code === 'ECONNRESET'
  return isReset ? new Error('disconnected before secure TLS connection was established', { cause: error }) : error
}
