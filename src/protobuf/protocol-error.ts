import { EtcdError } from '../core/errors.js'

/** The error for an answer that cannot be read. Its effect is unknown: the server may well have applied the call. */
export function protocolError(message: string, detail: { method?: string; cause?: unknown } = {}): EtcdError {
  return new EtcdError(message, { code: 'PROTOCOL_ERROR', effect: 'unknown', ...detail })
}
