import type { Socket } from 'node:net'

/**
 * Ends a connection with RST. A socket that is just sending its FIN is closed without one: libuv cannot reset it, and
 * Node would then neither close it nor be able to exit.
 */
export function resetSocket(socket: Socket): void {
  if (socket.writableEnded && !socket.writableFinished) socket.destroy()
  else socket.resetAndDestroy()
}
