import { connect as connectTcp, type OnReadOpts, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import type { ChannelSettings } from '../channel-settings.js'
import type { Credentials } from '../credentials.js'
import type { Endpoint } from '../endpoint.js'
import { tlsOptions } from '../tls-options.js'
import type { HeaderField } from './hpack/header-field.js'

/**
 * The read buffer of all sockets: a read is complete when `onBytes` returns. A new buffer for each read would load the garbage
 * collector, and a buffer for each socket would be most of the memory of an idle client.
 */
const readBuffer = Buffer.allocUnsafeSlow(65_536)

/**
 * Starts to connect to a member. The socket does not hold the process open. `onBytes` receives the first `length` bytes of
 * `chunk`, which are valid during the call only.
 */
export function dial(
  endpoint: Endpoint,
  credentials: Credentials,
  settings: ChannelSettings,
  onBytes: (chunk: Buffer, length: number) => void,
): Socket {
  const onread = {
    buffer: readBuffer,
    callback(length: number): boolean {
      onBytes(readBuffer, length)
      return true
    },
  }
  const socket = openSocket(endpoint, credentials, settings.servername ?? endpoint.serverName, onread)
  socket.setNoDelay()
  socket.unref()
  // With several addresses, the handle that has connected is a new one.
  socket.once('connect', () => socket.unref())
  return socket
}

/** The headers of every call to this endpoint, without `:path`. */
export function commonHeaders(endpoint: Endpoint): readonly HeaderField[] {
  return [
    [':method', 'POST'],
    [':scheme', endpoint.tls ? 'https' : 'http'],
    [':authority', endpoint.target.startsWith('unix:') ? endpoint.serverName : addressText(endpoint)],
    ['te', 'trailers'],
    ['content-type', 'application/grpc'],
    ['user-agent', 'grpc-node-etcdkit'],
  ]
}

function openSocket(endpoint: Endpoint, { tls }: Credentials, name: string, onread: OnReadOpts): Socket {
  const address = { ...addressOf(endpoint), onread }
  if (tls === undefined) return connectTcp(address)
  return connectTls({ ...address, ...tlsOptions(tls, name) })
}

/** The name is resolved for each connection, and its addresses of both families are tried in turn. */
function addressOf(endpoint: Endpoint) {
  if (endpoint.target.startsWith('unix:')) return { path: endpoint.target.slice('unix:'.length) }
  const text = addressText(endpoint)
  const colon = text.lastIndexOf(':')
  const host = text.slice(0, colon).replace(/^\[|\]$/g, '')
  return { host, port: Number(text.slice(colon + 1)), autoSelectFamily: true }
}

/** `10.0.0.1:2379` of `ipv4:10.0.0.1:2379`. */
function addressText({ target }: Endpoint): string {
  return target.slice(target.indexOf(':') + 1)
}
