import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { writeAptConfig } from '../../src/testing/apt-config.js'
import { cacheFolder } from '../../src/testing/etcd-binary.js'
import { runCommand } from '../../src/testing/run-command.js'

/** A Chromium that can be started. */
export interface Chromium {
  readonly program: string
  readonly env: NodeJS.ProcessEnv
}

const names = ['chromium', 'chromium-headless-shell', 'google-chrome', 'chrome']
const keyring = '/usr/share/keyrings/debian-archive-keyring.gpg'

/**
 * The Chromium that `ETCDKIT_BROWSER` names, or one on the PATH, or Debian's, which is fetched into the user's cache folder
 * (100 MB). Returns why there is none as a text.
 */
export async function findChromium(): Promise<Chromium | string> {
  const folders = (process.env.PATH ?? '').split(delimiter)
  const installed = folders
    .flatMap((folder) => names.map((name) => join(folder, name)))
    .find((path) => existsSync(path))
  const program = process.env.ETCDKIT_BROWSER ?? installed
  if (program !== undefined) return { program, env: process.env }
  try {
    const fromDebian = fromRoot(await fetched())
    await runCommand(fromDebian.program, ['--version'], { env: fromDebian.env })
    return fromDebian
  } catch (error) {
    return `no Chromium, set ETCDKIT_BROWSER: ${error instanceof Error ? error.message : String(error)}`
  }
}

function fromRoot(root: string): Chromium {
  const program = join(root, 'usr/lib/chromium/chromium-headless-shell')
  const architecture = readdirSync(join(root, 'usr/lib')).filter((name) => name.includes('-linux-gnu'))
  const libraries = architecture.flatMap((name) => [
    join(root, 'usr/lib', name),
    join(root, 'usr/lib', name, 'pulseaudio'),
  ])
  return { program, env: { ...process.env, LD_LIBRARY_PATH: libraries.join(delimiter) } }
}

/** The folder that Debian's packages are unpacked in: the headless shell, and what it needs that the machine lacks. */
async function fetched(): Promise<string> {
  const cache = cacheFolder()
  const root = join(cache, 'chromium')
  if (existsSync(root)) return root
  const [, release] = /^VERSION_CODENAME=(\w+)$/m.exec(osRelease()) ?? []
  if (release === undefined || !existsSync(keyring)) throw new Error('this is not Debian')
  mkdirSync(cache, { recursive: true })
  const folder = mkdtempSync(join(cache, 'chromium-'))
  try {
    await unpack(release, folder)
    renameSync(join(folder, 'root'), root)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
  return root
}

function osRelease(): string {
  return existsSync('/etc/os-release') ? readFileSync('/etc/os-release', 'utf8') : ''
}

async function unpack(release: string, folder: string): Promise<void> {
  const signed = `deb [signed-by=${keyring}] http://deb.debian.org`
  const sources = [`${signed}/debian ${release} main`, `${signed}/debian-security ${release}-security main`]
  const config = await writeAptConfig(folder, { sources, status: '/var/lib/dpkg/status' })
  const env = { ...process.env, LC_ALL: 'C', APT_CONFIG: config }
  await runCommand('apt-get', ['update'], { env, timeoutMs: 60_000 })
  const install = ['install', '--simulate', '--no-install-recommends', 'chromium-headless-shell']
  const plan = await runCommand('apt-get', install, { env })
  const packages = [...plan.matchAll(/^Inst (\S+) (?:\[\S+\] )?\((\S+)/gm)].map(
    ([, name, version]) => `${name}=${version}`,
  )
  const download = join(folder, 'download')
  mkdirSync(download)
  await runCommand('apt-get', ['download', ...packages], { env, cwd: download, timeoutMs: 120_000 })
  for (const file of readdirSync(download)) await runCommand('dpkg', ['-x', join(download, file), join(folder, 'root')])
}
