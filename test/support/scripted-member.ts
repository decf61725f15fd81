import { methods } from '../../src/protobuf/methods.js'
import { GrpcServer, type ServedCall } from './grpc-server.js'

/** What a call to a scripted member comes to: an error's text, or `undefined` for an answer with nothing but a header. */
export type Script = (call: ServedCall) => string | undefined

/** A member that leads its cluster, and answers every call but Status as the test says. */
export class ScriptedMember implements AsyncDisposable {
  /** When the calls came, on the clock of `performance.now()`. */
  readonly arrivals: number[] = []
  script: Script
  readonly #server: GrpcServer

  private constructor(server: GrpcServer, script: Script) {
    this.#server = server
    this.script = script
  }

  static async start(script: Script): Promise<ScriptedMember> {
    const server = await GrpcServer.start((call) => member.#serve(call))
    const member = new ScriptedMember(server, script)
    return member
  }

  get endpoint(): string {
    return this.#server.endpoint
  }

  /** How many calls came from this time on. */
  since(time: number): number {
    return this.arrivals.filter((at) => at >= time).length
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#server[Symbol.asyncDispose]()
  }

  #serve(call: ServedCall): void {
    if (call.headers[':path'] === methods.Maintenance.Status.path) {
      call.reply(Buffer.concat([header(), text(2, '3.5.30'), integer(4, 1), integer(6, 2)]))
      return
    }
    this.arrivals.push(performance.now())
    const refusal = this.script(call)
    if (refusal === undefined) call.reply(header())
    else call.replyHeaders({ 'grpc-status': 14, 'grpc-message': refusal })
  }
}

/** Field 1 of every answer: a cluster and a member with the ID 1, revision 1, term 2. */
function header(): Buffer {
  return bytes(1, Buffer.concat([integer(1, 1), integer(2, 1), integer(3, 1), integer(4, 2)]))
}

function integer(field: number, value: number): Buffer {
  return Buffer.from([field << 3, value])
}

function text(field: number, value: string): Buffer {
  return bytes(field, Buffer.from(value))
}

/** Of less than 128 bytes. */
function bytes(field: number, value: Buffer): Buffer {
  return Buffer.concat([Buffer.from([(field << 3) | 2, value.length]), value])
}
