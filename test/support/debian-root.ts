import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { writeAptConfig } from '../../src/testing/apt-config.js'
import { cacheFolder } from '../../src/testing/etcd-binary.js'
import { runCommand } from '../../src/testing/run-command.js'

const keyring = '/usr/share/keyrings/debian-archive-keyring.gpg'

/**
 * The folder that packages of this Debian are unpacked in, with what they need that the machine lacks. It is called `name`
 * in the user's cache folder, and made when it is not there.
 */
export async function debianRoot(name: string, packages: readonly string[]): Promise<string> {
  const cache = cacheFolder()
  const root = join(cache, name)
  if (existsSync(root)) return root
  const [, release] = /^VERSION_CODENAME=(\w+)$/m.exec(osRelease()) ?? []
  if (release === undefined || !existsSync(keyring)) throw new Error('this is not Debian')
  mkdirSync(cache, { recursive: true })
  const folder = mkdtempSync(join(cache, `${name}-`))
  try {
    await unpack(release, packages, folder)
    if (!existsSync(root)) renameSync(join(folder, 'root'), root)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
  return root
}

/** The environment for programs of a root, which finds their libraries. */
export function debianEnv(root: string, subfolders: readonly string[] = []): NodeJS.ProcessEnv {
  const architectures = readdirSync(join(root, 'usr/lib')).filter((name) => name.includes('-linux-gnu'))
  const libraries = architectures.flatMap((name) =>
    ['', ...subfolders].map((below) => join(root, 'usr/lib', name, below)),
  )
  return { ...process.env, LD_LIBRARY_PATH: libraries.join(delimiter) }
}

function osRelease(): string {
  return existsSync('/etc/os-release') ? readFileSync('/etc/os-release', 'utf8') : ''
}

async function unpack(release: string, packages: readonly string[], folder: string): Promise<void> {
  const signed = `deb [signed-by=${keyring}] http://deb.debian.org`
  const sources = [`${signed}/debian ${release} main`, `${signed}/debian-security ${release}-security main`]
  const config = await writeAptConfig(folder, { sources, status: '/var/lib/dpkg/status' })
  const env = { ...process.env, LC_ALL: 'C', APT_CONFIG: config }
  await runCommand('apt-get', ['update'], { env, timeoutMs: 60_000 })
  const install = ['install', '--simulate', '--no-install-recommends', ...packages]
  const plan = await runCommand('apt-get', install, { env })
  const planned = [...plan.matchAll(/^Inst (\S+) (?:\[\S+\] )?\((\S+)/gm)].map(
    ([, name, version]) => `${name}=${version}`,
  )
  const download = join(folder, 'download')
  mkdirSync(download)
  await runCommand('apt-get', ['download', ...planned], { env, cwd: download, timeoutMs: 120_000 })
  mkdirSync(join(folder, 'root'))
  for (const file of readdirSync(download)) await runCommand('dpkg', ['-x', join(download, file), join(folder, 'root')])
}
