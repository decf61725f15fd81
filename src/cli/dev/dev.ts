import { optionsFromEnvironment } from '../../client/environment.js'
import { sleep } from '../../core/wait.js'
import { Etcd } from '../../index.js'
import type { EtcdCluster } from '../../testing/index.js'
import { passOn, startProgram } from '../child-program.js'
import { type Context, defineCommand } from '../command.js'
import { devFlags } from './dev-settings.js'
import { MemberKeeper } from './member-keeper.js'
import { startCluster } from './start-cluster.js'
import { statusLine } from './status-line.js'
import { announcement, welcome } from './welcome.js'

const intervalMs = 1000

/** Runs a cluster for development. */
export const devCommand = defineCommand({
  name: 'dev',
  usage: '[COMMAND [arguments]]',
  summary: 'run an etcd cluster for development, until interrupted or while a command runs',
  details: [
    'Starts real etcd processes on 127.0.0.1, with an installed etcd or a downloaded one, and prints how to reach them. The',
    'first member serves clients at --port and its peers at the next port; the second member uses the two ports after',
    'that, and so on. A member that ends is started again after 3 s.',
    'With COMMAND, runs it with the environment variables of etcdctl and Etcd.fromEnv(), and exits with its status.',
    'At the end, no process is left, and no directory but the one of --data-dir. To continue with that, use the same flags.',
  ],
  flags: devFlags,
  isOffline: true,
  arity: [0, Number.POSITIVE_INFINITY],
  passesOnAfter: 0,
  async run(context, { flags, args }) {
    const cluster = await startCluster(flags, context)
    const keeper = new MemberKeeper(cluster, context.notes)
    const keeping = setInterval(() => keeper.check(), intervalMs)
    try {
      if (args.length > 0) return await runWith(cluster, args, context)
      await announce(cluster, flags['data-dir'], context)
      return await follow(cluster, context)
    } finally {
      clearInterval(keeping)
      await cluster.stop()
    }
  },
})

async function announce(cluster: EtcdCluster, dataDir: string | undefined, { output }: Context): Promise<void> {
  if (output.format === 'json') await output.json(announcement(cluster, dataDir))
  else await output.line(welcome(cluster, dataDir, output.style))
}

/** Rejects when the process is interrupted. */
async function follow(cluster: EtcdCluster, { notes, signal }: Context): Promise<never> {
  const etcd = new Etcd(optionsFromEnvironment(cluster.env))
  try {
    for (;;) {
      if (notes.isTTY) notes.status(await statusLine(etcd, cluster))
      await sleep(intervalMs, signal)
    }
  } finally {
    await etcd.close()
  }
}

async function runWith(
  cluster: EtcdCluster,
  words: readonly string[],
  { env, stdin, signal }: Context,
): Promise<number> {
  const { child, ended } = startProgram(words, { ...withoutClientVariables(env), ...cluster.env })
  const onInterrupt = (): void => passOn(signal.reason, child, stdin.isTTY === true)
  signal.addEventListener('abort', onInterrupt, { once: true })
  try {
    return await ended
  } finally {
    signal.removeEventListener('abort', onInterrupt)
  }
}

/** Other variables, such as those of a token or another domain, would lead to another cluster. */
function withoutClientVariables(env: Context['env']): Context['env'] {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !name.startsWith('ETCDCTL_')))
}
