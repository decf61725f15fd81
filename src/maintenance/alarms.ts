import { assertKnownOptions, hexId, oneOf } from '../core/validate.js'
import type { AlarmRequest, AlarmResponse } from '../protobuf/generated/messages.js'
import { methods } from '../protobuf/methods.js'
import { checkCall } from '../transport/call-options.js'
import type { CallOptions } from '../transport/transport.js'
import type { EndpointCalls } from './endpoint-call.js'

/** An alarm that a member has raised, and that stays until it is disarmed. */
export interface Alarm {
  readonly memberId: string
  /**
   * `NOSPACE`: a member's database has reached its quota; the cluster refuses what needs space. `CORRUPT`: a member's
   * keys differ from those of the others; the cluster refuses all reads and writes of keys.
   */
  readonly type: 'NOSPACE' | 'CORRUPT'
}

/**
 * The alarms of a cluster. Any user may list them; the rest needs the role root where authentication is on. Listing,
 * too, is a raft proposal, and needs a majority.
 */
export class Alarms {
  readonly #calls: EndpointCalls

  constructor(calls: EndpointCalls) {
    this.#calls = calls
  }

  /** The alarms that are active. */
  async list(options?: CallOptions): Promise<readonly Alarm[]> {
    checkCall('alarms.list()', options)
    return this.#call({ action: 'GET' }, options)
  }

  /**
   * Disarms one alarm, and resolves to what was disarmed: nothing if it was not active. Remove its cause first (see
   * `docs/operations.md`): a member whose database is still full raises `NOSPACE` again with the next write.
   */
  async disarm(alarm: Alarm, options?: CallOptions): Promise<readonly Alarm[]> {
    checkCall('alarms.disarm()', options)
    return this.#call({ action: 'DEACTIVATE', ...requestOf(alarm) }, options)
  }

  /** Disarms all alarms that are active, and resolves to them. */
  async disarmAll(options?: CallOptions): Promise<readonly Alarm[]> {
    checkCall('alarms.disarmAll()', options)
    const active = await this.#call({ action: 'GET' }, options)
    const disarmed = await Promise.all(active.map((alarm) => this.disarm(alarm, options)))
    return disarmed.flat()
  }

  /** Raises an alarm, which stops writes, and with `CORRUPT` reads too: to rehearse, or as an emergency brake. */
  async activate(alarm: Alarm, options?: CallOptions): Promise<readonly Alarm[]> {
    checkCall('alarms.activate()', options)
    return this.#call({ action: 'ACTIVATE', ...requestOf(alarm) }, options)
  }

  async #call(request: AlarmRequest, options: CallOptions | undefined): Promise<readonly Alarm[]> {
    return alarmsOf(await this.#calls.any(methods.Maintenance.Alarm, request, options))
  }
}

/** The alarms of an answer. */
export function alarmsOf({ alarms }: AlarmResponse): readonly Alarm[] {
  return alarms.flatMap(({ memberID, alarm }) => (alarm === 'NONE' ? [] : [{ memberId: memberID ?? '0', type: alarm }]))
}

function requestOf(alarm: Alarm): AlarmRequest {
  assertKnownOptions('an alarm', alarm, ['memberId', 'type'])
  return {
    memberID: hexId('memberId', alarm.memberId),
    alarm: oneOf('type', alarm.type, ['NOSPACE', 'CORRUPT']),
  }
}
