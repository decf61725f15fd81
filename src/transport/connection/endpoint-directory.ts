import { InvalidArgumentError } from '../../core/errors.js'
import { describe } from '../../core/validate.js'
import { parseEndpoints } from '../endpoint.js'
import { type CallOptions, callContext, type Route } from '../transport.js'
import type { ConnectionManager } from './connection-manager.js'

/** The endpoints of a client, for calls to one given member or to every member. */
export class EndpointDirectory {
  readonly #manager: ConnectionManager

  constructor(manager: ConnectionManager) {
    this.#manager = manager
  }

  /** All endpoints. Waits for discovery where they come from DNS. */
  async urls(options: CallOptions | undefined): Promise<readonly string[]> {
    if (this.#manager.endpoints.length === 0) await this.#discovered(options)
    return this.#manager.endpoints.map(({ url }) => url)
  }

  /** The route to one member. Rejects with `InvalidArgumentError` unless `endpoint` is one of the client's, in any notation. */
  async routeTo(endpoint: string, options: CallOptions | undefined): Promise<Route> {
    const urls = await this.urls(options)
    const url = this.#urlOf(endpoint)
    if (urls.includes(url)) return pinnedTo(url)
    throw new InvalidArgumentError(`\`endpoint\` must be one of the client's: ${urls.join(', ')}, got ${describe(url)}`)
  }

  #urlOf(endpoint: unknown): string {
    if (typeof endpoint !== 'string' || endpoint.includes(',')) {
      throw new InvalidArgumentError(`\`endpoint\` must be one of the client's, got ${describe(endpoint)}`)
    }
    const hasTls = this.#manager.endpoints.some(({ tls }) => tls)
    return parseEndpoints(endpoint, { hasTls })[0]?.url ?? endpoint
  }

  /** The first call starts discovery. Endpoints that cannot be reached are reported by the calls that follow. */
  async #discovered(options: CallOptions | undefined): Promise<void> {
    const context = callContext(options, {})
    try {
      if (this.#manager.pick(context) === undefined) await this.#manager.wait(context)
    } catch (error) {
      if (this.#manager.endpoints.length === 0) throw error
    }
  }
}

/** The route to the member at this URL, whatever its role: a member without a leader or a learner refuses what it cannot serve. */
export function pinnedTo(url: string): Route {
  return { serializable: true, prefer: undefined, endpoint: url }
}
