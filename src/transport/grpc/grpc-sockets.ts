import type { Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import type { ChannelCredentials } from '@grpc/grpc-js'
import type { Credentials } from '../credentials.js'
import { tlsOptions } from '../tls-options.js'
import type { GrpcJs } from './grpc-js.js'

type SecureConnector = ReturnType<ChannelCredentials['_createSecureConnector']>
type SecureConnectResult = Awaited<ReturnType<SecureConnector['connect']>>

/** What sockets are made into, and for whom. */
interface Init {
  readonly credentials: Credentials
  /** What certificates must be for. */
  readonly name: string
  readonly onSocket: (socket: Socket) => void
}

let cached: ((init: Init) => ChannelCredentials) | undefined

/**
 * Credentials by which grpc-js shows each socket that it has connected, before it speaks HTTP/2 on it, and leaves TLS to
 * this client: the byte counts of the socket are the one sign of life that grpc-js lets through.
 */
export function socketCredentials(grpc: GrpcJs, init: Init): ChannelCredentials {
  cached ??= define(grpc)
  return cached(init)
}

/** The class to extend is there as soon as grpc-js is loaded, and not before. */
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
    secureSocket.on('error', reject)
    secureSocket.once('close', () => reject(new Error('Socket closed during the TLS handshake')))
    secureSocket.once('secureConnect', () => resolve({ socket: secureSocket, secure: true }))
  })
}
