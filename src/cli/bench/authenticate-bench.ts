import { type ClientParts, composeClient } from '../../client/compose-client.js'
import { resolveOptions } from '../../client/options.js'
import { Emitter } from '../../core/emitter.js'
import { methods } from '../../protobuf/methods.js'
import { callContext } from '../../transport/transport.js'
import type { Context } from '../command.js'
import { UsageError } from '../usage-error.js'
import { type BenchSettings, benchFlags, benchSettings } from './bench-flags.js'
import { defineBench, operations, runBench, turnOf } from './run-bench.js'

const { 'target-leader': _, ...flags } = benchFlags

/** Logs in. */
export const authenticateBench = defineBench({
  name: 'bench authenticate',
  usage: '',
  summary: 'measure logins of the user that --user names',
  details: [
    'A client logs in once and keeps its token. This asks for a token each time, to show what those pay who do not.',
  ],
  flags,
  arity: [0, 0],
  async run(context, { flags }) {
    const { auth } = context.clientOptions
    if (auth === undefined || !('password' in auth))
      throw new UsageError('bench authenticate needs --user NAME:PASSWORD')
    const settings = benchSettings(flags, context)
    const { username: name, password } = auth
    const clients = bareClients(context, settings)
    try {
      const workload = operations('bench authenticate', settings, async (_, worker) => {
        const call = callContext({ signal: context.signal }, { repeatable: true })
        await turnOf(clients, worker).transport.unary(methods.Auth.Authenticate, { name, password }, call)
        return { endpoint: call.progress.endpoint }
      })
      return await runBench(context, workload, flags)
    } finally {
      for (const { manager } of clients) manager.close()
    }
  },
})

/** Clients that do not log in by themselves: a public one asks for a token once and then no more. */
function bareClients({ clientOptions }: Context, { conns }: BenchSettings): ClientParts[] {
  return Array.from({ length: conns }, () =>
    composeClient(resolveOptions({ ...clientOptions, auth: undefined }), new Emitter()),
  )
}
