import type { Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import type { ChannelCredentials } from '@grpc/grpc-js'
import type { Credentials } from '../credentials.js'
import { handshakeError, tlsOptions } from '../tls-options.js'
import type { GrpcJs } from './grpc-js.js'

type SecureConnector = ReturnType<ChannelCredentials['_createSecureConnector']>
type SecureConnectResult = Awaited<ReturnType<SecureConnector['connect']>>

/** What the sockets of a connection are secured with, and who observes them. */
interface Init {
  readonly credentials: Credentials
  /** The name that certificates are verified for. */
  readonly name: string
  readonly onSocket: (socket: Socket) => void
}

let cached: ((init: Init) => ChannelCredentials) | undefined

/**
 * Credentials through which grpc-js exposes each connected socket before it uses it, and leaves TLS to this client. The sockets'
 * byte counts are the only sign of life that grpc-js makes available.
 */
export function socketCredentials(grpc: GrpcJs, init: Init): ChannelCredentials {
  cached ??= define(grpc)
  return cached(init)
}

/** The base class is available only after grpc-js is loaded. */
function define({ CallCredentials, ChannelCredentials }: GrpcJs): (init: Init) => ChannelCredentials {
  class SocketCredentials extends ChannelCredentials {
    readonly #init: Init

    constructor(init: Init) {
      super()
      this.#init = init
    }

    _isSecure(): boolean {
      return this.#init.credentials.tls !== undefined
    }

    _equals(other: ChannelCredentials): boolean {
      return this === other
    }

    _createSecureConnector(): SecureConnector {
      const none = CallCredentials.createEmpty()
      return {
        connect: (socket) => secured(socket, this.#init),
        waitForReady: () => Promise.resolve(),
        getCallCredentials: () => none,
        destroy: () => {},
      }
    }
  }
  return (init) => new SocketCredentials(init)
}

function secured(socket: Socket, { credentials: { tls }, name, onSocket }: Init): Promise<SecureConnectResult> {
  socket.unref()
  onSocket(socket)
  if (tls === undefined) return Promise.resolve({ socket, secure: false })
  const secureSocket = connectTls({ socket, ...tlsOptions(tls, name) })
  return new Promise((resolve, reject) => {
    secureSocket.on('error', (error) => reject(handshakeError(error)))
    secureSocket.once('close', () => reject(new Error('Socket closed during the TLS handshake')))
    secureSocket.once('secureConnect', () => resolve({ socket: secureSocket, secure: true }))
  })
}
