import type { Etcd } from '../../index.js'
import { type Command, type CommandSpec, type Context, defineCommand, type Flags } from '../command.js'
import { CommandFailed, failed } from '../failure.js'
import { globalFlags } from '../global-flags.js'
import { writePage } from '../page-file.js'
import { poll } from '../poll.js'
import { integerFlag } from '../units.js'
import { type BenchSettings, countFlag } from './bench-flags.js'
import { benchPage } from './bench-page.js'
import { type LoadOptions, type Operation, runLoad } from './load.js'
import { runProcesses } from './processes.js'
import { showProgress } from './progress.js'
import { Samples } from './samples.js'
import { checkProcesses, shareOf } from './share.js'
import { runShare } from './share-worker.js'
import { type Summary, summarize } from './summary.js'
import { summaryText } from './summary-text.js'
import type { Workload } from './workload.js'

/** A workload of operations that are made one after the other by each client. */
export function operations(name: string, load: Omit<LoadOptions, 'signal'>, operation: Operation): Workload {
  return { name, total: load.total, run: (samples, signal) => runLoad(operation, samples, { ...load, signal }) }
}

/**
 * The clients of a benchmark, connected. If there is one for each member, each connects to one member, as in etcd's own tool:
 * the number of connections is that of clients. Fewer clients connect to every member.
 */
export async function connections(context: Context, { conns, targetLeader }: BenchSettings): Promise<Etcd[]> {
  const members = await membersOf(context, targetLeader)
  // What is measured is a request for each operation.
  const single = { discovery: undefined, batching: { reads: false } }
  const clients = Array.from({ length: conns }, (_, at) =>
    context.client({ ...single, endpoints: conns < members.length ? members : turnOf(members, at) }),
  )
  await Promise.all(clients.map((etcd) => etcd.connect({ signal: context.signal })))
  return clients
}

/** The one of `all` whose turn it is. */
export function turnOf<Item>(all: readonly Item[], index: number): Item {
  const item = all[index % all.length]
  if (item === undefined) throw new RangeError('there is none')
  return item
}

/** Runs a benchmark and shows the result; resolves to the exit status. Nothing it has made stays, however it ends. */
export async function runBench(
  context: Context,
  workload: Workload,
  flags: Readonly<Record<string, unknown>>,
): Promise<number> {
  if (shareOf(context.env).of > 1) return runShare(context, workload)
  try {
    return await show(context, workload.name, flags, await measured(context, workload))
  } finally {
    context.notes.status('tidying up …')
    await workload.cleanUp?.()
  }
}

/** Makes a benchmark that can be shared by several processes: with `--processes`, each runs the same command. */
export function defineBench<const Table extends Flags>(spec: CommandSpec<Table>): Command {
  const command = defineCommand(spec)
  return {
    ...command,
    run(context, invocation) {
      const { processes: wanted, ...flags } = invocation.flags
      const processes = integerFlag('processes', String(wanted ?? '1'))
      if (processes === 1 || shareOf(context.env).of > 1) return command.run(context, invocation)
      checkProcesses(processes, {
        clients: countFlag('clients', flags),
        total: countFlag('total', flags),
      })
      return runShared(context, command.name, { flags, args: invocation.args }, processes)
    },
  }
}

async function runShared(
  context: Context,
  name: string,
  { flags, args }: { readonly flags: Readonly<Record<string, unknown>>; readonly args: readonly string[] },
  processes: number,
): Promise<number> {
  // The global flags are in the environment.
  const given = Object.entries(shownFlags(flags)).filter(([, value]) => value !== undefined)
  const words = given.map(([flag, value]) => (value === true ? `--${flag}` : `--${flag}=${value}`))
  let done = 0
  const hide = showProgress(context.notes, countFlag('total', flags), () => done)
  const onProgress = (now: number): void => {
    done = now
  }
  const argv = [...name.split(' '), ...words, '--', ...args]
  const { samples, cost } = await runProcesses(context, { argv, processes, onProgress }).finally(hide)
  return show(context, name, { ...flags, processes }, summarize(samples, cost))
}

async function show(
  { output }: Context,
  name: string,
  flags: Readonly<Record<string, unknown>>,
  summary: Summary,
): Promise<number> {
  if (output.format === 'json') await output.json({ name, ...summary })
  else await output.line(summaryText(summary))
  await writePage(pathOf(flags), () => benchPage(name, shownFlags(flags), summary))
  return summary.operations === 0 ? failed : 0
}

function pathOf({ html }: Readonly<Record<string, unknown>>): string | undefined {
  return typeof html === 'string' ? html : undefined
}

/** What the page shows of the command line: nothing of logins. */
function shownFlags(flags: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(flags).filter(([name]) => name !== 'html' && !(name in globalFlags)))
}

async function measured({ notes, signal }: Context, workload: Workload): Promise<Summary> {
  const samples = new Samples(workload.total)
  const hide = showProgress(notes, workload.total, () => samples.done)
  const cpuBefore = process.cpuUsage()
  const startedAt = performance.now()
  try {
    await workload.run(samples, signal)
  } finally {
    hide()
  }
  const endedAt = performance.now()
  const { user, system } = process.cpuUsage(cpuBefore)
  return summarize(samples, { startedAt, endedAt, cpuMicros: user + system })
}

/** The given endpoints, or the one of the leader. */
async function membersOf({ client, signal }: Context, targetLeader: boolean): Promise<string[]> {
  const etcd = client()
  await etcd.connect({ signal })
  const members = targetLeader ? [await leaderOf(etcd, signal)] : etcd.endpoints().map(({ endpoint }) => endpoint)
  await etcd.close()
  return members
}

async function leaderOf(etcd: Etcd, signal: AbortSignal): Promise<string> {
  const leader = await poll(() => etcd.endpoints().find(({ role }) => role === 'leader'), { timeoutMs: 5000, signal })
  if (leader === undefined) throw new CommandFailed('none of the endpoints is the leader: give all members')
  return leader.endpoint
}
