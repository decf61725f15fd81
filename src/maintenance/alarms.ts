import { assertKnownOptions, hexId, oneOf } from '../core/validate.js'
import type { AlarmRequest, AlarmResponse } from '../protobuf/generated/messages.js'
import { methods } from '../protobuf/methods.js'
import { checkCall } from '../transport/call-options.js'
import type { CallOptions } from '../transport/transport.js'
import type { EndpointCalls } from './endpoint-call.js'

/** An alarm raised by a member. It stays active until it is disarmed. */
export interface Alarm {
  readonly memberId: string
  /**
   * `NOSPACE`: a member's database reached its quota; the cluster rejects writes that need space. `CORRUPT`: a member's
   * data differs from the others'; the cluster rejects all reads and writes of keys.
   */
  readonly type: 'NOSPACE' | 'CORRUPT'
}

/**
 * The alarms of a cluster. Any user may list them; other calls require the role root if authentication is enabled.
 * Listing is also a raft proposal and requires a quorum.
 */
export class Alarms {
  readonly #calls: EndpointCalls

  constructor(calls: EndpointCalls) {
    this.#calls = calls
  }

  /** Lists the active alarms. */
  async list(options?: CallOptions): Promise<readonly Alarm[]> {
    checkCall('alarms.list()', options)
    return this.#call({ action: 'GET' }, options)
  }

  /**
   * Disarms one alarm. Remove its cause first (see `docs/operations.md`): a member whose database is still full raises
   * `NOSPACE` again on the next write.
   *
   * @returns The disarmed alarms: empty if the alarm was not active.
   */
  async disarm(alarm: Alarm, options?: CallOptions): Promise<readonly Alarm[]> {
    checkCall('alarms.disarm()', options)
    return this.#call({ action: 'DEACTIVATE', ...requestOf(alarm) }, options)
  }

  /**
   * Disarms all active alarms.
   *
   * @returns The disarmed alarms.
   */
  async disarmAll(options?: CallOptions): Promise<readonly Alarm[]> {
    checkCall('alarms.disarmAll()', options)
    const active = await this.#call({ action: 'GET' }, options)
    const disarmed = await Promise.all(active.map((alarm) => this.disarm(alarm, options)))
    return disarmed.flat()
  }

  /**
   * Raises an alarm, which stops writes, and with `CORRUPT` also reads. For drills, or as an emergency stop.
   *
   * @returns The raised alarms.
   */
  async activate(alarm: Alarm, options?: CallOptions): Promise<readonly Alarm[]> {
    checkCall('alarms.activate()', options)
    return this.#call({ action: 'ACTIVATE', ...requestOf(alarm) }, options)
  }

  async #call(request: AlarmRequest, options: CallOptions | undefined): Promise<readonly Alarm[]> {
    return alarmsOf(await this.#calls.any(methods.Maintenance.Alarm, request, options))
  }
}

/** The alarms of a response. */
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
