import { connect as connectTcp, type OnReadOpts, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import type { ChannelSettings } from '../channel-settings.js'
import type { Credentials } from '../credentials.js'
import type { Endpoint } from '../endpoint.js'
import { tlsOptions } from '../tls-options.js'
import type { HeaderField } from './hpack/header-field.js'

/**
 * What a socket reads at a time goes here, again and again: separate memory for each read would keep the garbage
 * collector busy.
 */
const readBytes = 65_536

/**
 * Starts to connect to a member. The socket does not hold the process open. `onBytes` hears of the first `length` bytes of
 * `chunk`, which are there during that call only.
 */
export function dial(
  endpoint: Endpoint,
  credentials: Credentials,
  settings: ChannelSettings,
  onBytes: (chunk: Buffer, length: number) => void,
): Socket {
  const buffer = Buffer.allocUnsafeSlow(readBytes)
  const onread = {
    buffer,
    callback(length: number): boolean {
      onBytes(buffer, length)
      return true
    },
  }
  const socket = openSocket(endpoint, credentials, settings.servername ?? endpoint.serverName, onread)
  socket.setNoDelay()
  socket.unref()
  // The handle that connected may be another one than was there at first.
  socket.once('connect', () => socket.unref())
  return socket
}

/** The headers that are the same for every call to this endpoint, without `:path`. */
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

/** A name is looked up anew for each connection, and its addresses of both families are tried in turn. */
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
