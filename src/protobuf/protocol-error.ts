import { EtcdError } from '../core/errors.js'

/** The error for a response that cannot be decoded. Its effect is unknown: the server may have applied the call. */
export function protocolError(message: string, detail: { method?: string; cause?: unknown } = {}): EtcdError {
  return new EtcdError(message, { code: 'PROTOCOL_ERROR', effect: 'unknown', ...detail })
}
