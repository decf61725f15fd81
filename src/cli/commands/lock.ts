import { type ChildProcess, spawn } from 'node:child_process'
import { constants } from 'node:os'
import type { Lock } from '../../index.js'
import { type Context, defineCommand } from '../command.js'
import { CommandFailed } from '../failure.js'
import { durationFlagMs, ttlFlagSeconds } from '../units.js'

/** Holds a lock. */
export const lockCommand = defineCommand({
  name: 'lock',
  usage: 'NAME [COMMAND [arguments]]',
  summary: 'hold a lock while a command runs, or until it is ended',
  details: [
    'Waits for the lock, in order with all others who want it: other processes, Go’s clientv3, etcdctl lock.',
    'With a COMMAND, runs it once the lock is held, and ends with its exit status; ETCD_LOCK_KEY tells it the key of',
    'the lock, ETCD_LOCK_REV a number that grows with every holder, for the resource to refuse older ones by.',
    'If the lock is lost, the command gets SIGTERM, then SIGKILL, and the status is 1.',
    'Without one, prints the key and holds the lock until SIGINT or SIGTERM.',
  ],
  flags: {
    ttl: { type: 'string', value: 'DURATION', help: 'how long the lock outlives this process (10s)' },
    timeout: { type: 'string', value: 'DURATION', help: 'how long to wait for it (for ever)' },
    value: { type: 'string', value: 'TEXT', help: 'what others see in the key of the lock' },
    'kill-after': { type: 'string', value: 'DURATION', help: 'from SIGTERM to SIGKILL when the lock is lost (2s)' },
  },
  arity: [1, Number.POSITIVE_INFINITY],
  passesOnAfter: 1,
  async run(context, { flags, args: [name = '', program, ...programArgs] }) {
    const { output, client, signal } = context
    const killAfterMs = durationFlagMs('kill-after', flags['kill-after'] ?? '2s')
    const lock = await client().lock(name, {
      ttlSeconds: flags.ttl === undefined ? undefined : ttlFlagSeconds('ttl', flags.ttl),
      timeoutMs: flags.timeout === undefined ? Number.POSITIVE_INFINITY : durationFlagMs('timeout', flags.timeout),
      value: flags.value,
      signal,
    })
    try {
      if (program !== undefined) return await runUnder(lock, [program, ...programArgs], killAfterMs, context)
      const { keyText: key, fence } = lock
      await (output.format === 'json' ? output.json({ key, fence }) : output.line(key))
      return await untilAborted(AbortSignal.any([signal, lock.signal]))
    } finally {
      await lock.release()
    }
  },
})

/** Rejects with the reason when the signal aborts. */
export function untilAborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    // Nothing else holds the process open while there is nothing to do but to wait.
    const timer = setInterval(() => {}, 2 ** 30)
    const end = (): void => {
      clearInterval(timer)
      reject(signal.reason)
    }
    if (signal.aborted) end()
    else signal.addEventListener('abort', end, { once: true })
  })
}

async function runUnder(
  lock: Lock,
  [program = '', ...args]: readonly string[],
  killAfterMs: number,
  { env, stdin, signal }: Context,
): Promise<number> {
  const lockEnv = { ETCD_LOCK_KEY: lock.keyText, ETCD_LOCK_REV: String(lock.fence) }
  const child = spawn(program, args, { stdio: 'inherit', env: { ...env, ...lockEnv } })
  let killing: NodeJS.Timeout | undefined
  const onLost = (): void => {
    child.kill('SIGTERM')
    killing = setTimeout(() => child.kill('SIGKILL'), killAfterMs)
  }
  const onInterrupt = (): void => passOn(signal.reason, child, stdin.isTTY === true)
  const ended = endOf(child, program)
  if (lock.signal.aborted) onLost()
  lock.signal.addEventListener('abort', onLost, { once: true })
  signal.addEventListener('abort', onInterrupt, { once: true })
  try {
    const status = await ended
    lock.signal.throwIfAborted()
    return status
  } finally {
    clearTimeout(killing)
    signal.removeEventListener('abort', onInterrupt)
  }
}

/** A terminal sends SIGINT to the command by itself. */
function passOn(reason: unknown, child: ChildProcess, isTerminal: boolean): void {
  const name = /SIG(INT|TERM|HUP)$/.exec(reason instanceof Error ? reason.message : '')?.[0]
  if (name === 'SIGINT' && isTerminal) return
  child.kill(name === 'SIGINT' || name === 'SIGHUP' ? name : 'SIGTERM')
}

/** The status that a shell would give. */
function endOf(child: ChildProcess, program: string): Promise<number> {
  return new Promise((resolve, reject) => {
    child.once('error', (error) => reject(new CommandFailed(`${program} cannot be run: ${error.message}`)))
    child.once('exit', (code, signal) => resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal])))
  })
}
