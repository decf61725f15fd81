import type { LockHandle } from '../../index.js'
import { passOn, startProgram } from '../child-program.js'
import { type Context, defineCommand } from '../command.js'
import { orUnreachable } from '../first-connection.js'
import { durationFlagMs, ttlFlagSeconds } from '../units.js'

/** Holds a lock. */
export const lockCommand = defineCommand({
  name: 'lock',
  usage: 'NAME [COMMAND [arguments]]',
  summary: 'hold a lock while a command runs, or until interrupted',
  details: [
    'Waits for the lock in one queue with other processes, Go’s clientv3 and etcdctl lock.',
    'With COMMAND, runs it while the lock is held and exits with its status. ETCD_LOCK_KEY contains the key of the',
    'lock, ETCD_LOCK_REV the fencing token: a number that grows with each holder.',
    'If the lock is lost, the command receives SIGTERM, then SIGKILL, and the exit status is 1.',
    'Without COMMAND, prints the key and holds the lock until SIGINT or SIGTERM.',
  ],
  flags: {
    ttl: { type: 'string', value: 'DURATION', help: 'how long the lock lasts after this process dies (10s)' },
    timeout: { type: 'string', value: 'DURATION', help: 'time limit for acquiring the lock (none)' },
    value: { type: 'string', value: 'TEXT', help: 'value of the lock’s key, visible to others' },
    'kill-after': {
      type: 'string',
      value: 'DURATION',
      help: 'time from SIGTERM to SIGKILL after the lock is lost (2s)',
    },
  },
  arity: [1, Number.POSITIVE_INFINITY],
  operands: { name: 'NAME' },
  passesOnAfter: 1,
  async run(context, { flags, args: [name = '', program, ...programArgs] }) {
    const { output, client, signal } = context
    const killAfterMs = durationFlagMs('kill-after', flags['kill-after'] ?? '2s')
    const etcd = client()
    const lock = await etcd.lock(name, {
      ttlSeconds: flags.ttl === undefined ? undefined : ttlFlagSeconds('ttl', flags.ttl),
      timeoutMs: flags.timeout === undefined ? Number.POSITIVE_INFINITY : durationFlagMs('timeout', flags.timeout),
      value: flags.value,
      signal: orUnreachable(etcd, signal),
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

/** Rejects with the signal's reason when it aborts. */
export function untilAborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    // Nothing else keeps the process alive during the wait.
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
  lock: LockHandle,
  words: readonly string[],
  killAfterMs: number,
  { env, stdin, signal }: Context,
): Promise<number> {
  const lockEnv = { ETCD_LOCK_KEY: lock.keyText, ETCD_LOCK_REV: String(lock.fence) }
  const { child, ended } = startProgram(words, { ...env, ...lockEnv })
  let killing: NodeJS.Timeout | undefined
  const onLost = (): void => {
    child.kill('SIGTERM')
    killing = setTimeout(() => child.kill('SIGKILL'), killAfterMs)
  }
  const onInterrupt = (): void => passOn(signal.reason, child, stdin.isTTY === true)
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
