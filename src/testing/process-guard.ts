import { type ChildProcess, spawn, spawnSync } from 'node:child_process'

/**
 * Starts a program that does not outlive this process, even when this process is killed with SIGKILL.
 * Its output goes to an open file. It does not keep the event loop alive.
 */
export function spawnGuarded(
  program: string,
  args: readonly string[],
  options: { readonly cwd: string; readonly env: NodeJS.ProcessEnv; readonly logFd: number },
): ChildProcess {
  const { cwd, env, logFd } = options
  const stdio: ['ignore', number, number] = ['ignore', logFd, logFd]
  // Ctrl-C in a terminal reaches the whole foreground group: this process decides when its members end. On Windows,
  // `detached` would open a window.
  const settings = { cwd, env, stdio, detached: process.platform !== 'win32' }
  const child = canDieWithParent()
    ? spawn('setpriv', ['--pdeathsig', 'KILL', program, ...args], settings)
    : watch(spawn(program, args, settings))
  child.unref()
  return child
}

let parentDeathSignal: boolean | undefined

/** Linux delivers a signal to a child when the thread that started it ends; busybox's setpriv cannot ask for it. */
function canDieWithParent(): boolean {
  parentDeathSignal ??= spawnSync('setpriv', ['--pdeathsig', 'KILL', 'true'], { stdio: 'ignore' }).status === 0
  return parentDeathSignal
}

let watchdog: ChildProcess | undefined

/** Where there is no parent death signal, a second process holds a pipe from this one and kills when it closes. */
function watch(child: ChildProcess): ChildProcess {
  watchdog ??= startWatchdog()
  const { stdin } = watchdog
  stdin?.write(`+${child.pid}\n`)
  child.once('exit', () => stdin?.write(`-${child.pid}\n`))
  return child
}

const watchdogScript = `
  const pids = new Set()
  require('node:readline').createInterface(process.stdin).on('line', (line) => {
    const pid = Number(line.slice(1))
    if (line[0] === '+') pids.add(pid)
    else pids.delete(pid)
  }).on('close', () => {
    for (const pid of pids) try { process.kill(pid, 'SIGKILL') } catch {}
  })`

function startWatchdog(): ChildProcess {
  // Detached: Ctrl-C in a terminal reaches the whole foreground group and must not end the watchdog first.
  const child = spawn(process.execPath, ['-e', watchdogScript], { stdio: ['pipe', 'ignore', 'ignore'], detached: true })
  child.unref()
  const { stdin } = child
  if (stdin !== null && 'unref' in stdin && typeof stdin.unref === 'function') stdin.unref()
  return child
}
