import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { writeAptConfig } from './apt-config.js'
import { fitsRequest, requestedSeries, type VersionRequest } from './etcd-version.js'
import { runCommand, tryCommand } from './run-command.js'
import { messageOf } from './thrown.js'

/** One release of a distribution that packages etcd. */
interface Suite {
  readonly name: string
  readonly mirror: string
  readonly components: string
  readonly keyring: string
  /** The known series of the suite; undefined if it must be looked up. */
  readonly series?: string
}

const debianKeyring = '/usr/share/keyrings/debian-archive-keyring.gpg'
const ubuntuKeyring = '/usr/share/keyrings/ubuntu-archive-keyring.gpg'
const debianMirror = 'http://deb.debian.org/debian'
const ubuntuMirror =
  process.arch === 'x64' ? 'http://archive.ubuntu.com/ubuntu' : 'http://ports.ubuntu.com/ubuntu-ports'

const debianSuites: readonly Suite[] = [
  { name: 'sid', series: '3.5', mirror: debianMirror, components: 'main', keyring: debianKeyring },
  { name: 'forky', series: '3.5', mirror: debianMirror, components: 'main', keyring: debianKeyring },
  { name: 'trixie', series: '3.5', mirror: debianMirror, components: 'main', keyring: debianKeyring },
  { name: 'bookworm', series: '3.4', mirror: debianMirror, components: 'main', keyring: debianKeyring },
]

/**
 * Downloads etcd from Debian's or Ubuntu's archive and unpacks it into an empty folder. It needs no root and leaves
 * the system's package lists, sources and caches alone: apt works with private ones inside the folder and verifies
 * them against the distribution's installed archive keys.
 *
 * Returns the folder with the programs. Rejects with the reasons when no suite has the version or can be reached.
 */
export async function unpackDebianPackage(
  request: VersionRequest,
  folder: string,
  signal?: AbortSignal,
): Promise<string> {
  if ((await tryCommand('dpkg', ['--version'])) === undefined) throw new Error('this is not a Debian or Ubuntu system')
  const suites = suitesFor(request)
  if (suites.length === 0) throw new Error('no known Debian or Ubuntu release has it')
  const reasons: string[] = []
  for (const suite of suites) {
    try {
      return await unpackFrom(suite, request, join(folder, suite.name), signal)
    } catch (error) {
      signal?.throwIfAborted()
      reasons.push(messageOf(error))
    }
  }
  throw new Error(reasons.join('; '))
}

function suitesFor(request: VersionRequest): Suite[] {
  const suites = [...debianSuites, ...ubuntuSuites()].filter((suite) => existsSync(suite.keyring))
  if (request.kind === 'any') return suites
  return suites.filter(({ series }) => series === undefined || series === requestedSeries(request))
}

function ubuntuSuites(): Suite[] {
  if (!existsSync('/etc/os-release')) return []
  const [, codename] = /^UBUNTU_CODENAME=(\w+)$/m.exec(readFileSync('/etc/os-release', 'utf8')) ?? []
  if (codename === undefined) return []
  return [{ name: codename, mirror: ubuntuMirror, components: 'main universe', keyring: ubuntuKeyring }]
}

async function unpackFrom(
  suite: Suite,
  request: VersionRequest,
  folder: string,
  signal: AbortSignal | undefined,
): Promise<string> {
  const env = { ...process.env, LC_ALL: 'C', APT_CONFIG: await writeAptConfig(folder, { sources: [sourceOf(suite)] }) }
  await runCommand('apt-get', ['update'], { env, signal, timeoutMs: 120_000 })
  const packages = await pickPackages(suite, request, env)
  const download = join(folder, 'download')
  mkdirSync(download)
  await runCommand('apt-get', ['download', ...packages], { env, signal, cwd: download, timeoutMs: 300_000 })
  for (const file of readdirSync(download)) {
    await runCommand('dpkg', ['-x', join(download, file), join(folder, 'root')])
  }
  return join(folder, 'root/usr/bin')
}

/** Chooses the packages with their exact versions, so that a suite that has moved on is noticed before the download. */
async function pickPackages(suite: Suite, request: VersionRequest, env: NodeJS.ProcessEnv): Promise<string[]> {
  const madison = await runCommand('apt-cache', ['madison', 'etcd-server', 'etcd-client'], { env })
  const rows = madison.split('\n').map((row) => row.split('|').map((cell) => cell.trim()))
  const packages = rows.flatMap(([name, version = '']) => {
    const [, upstream = ''] = /^(?:\d+:)?(\d+\.\d+\.\d+)/.exec(version) ?? []
    return name && fitsRequest(upstream, request) ? [`${name}=${version}`] : []
  })
  if (packages.length > 0) return [...new Set(packages)]
  const has = rows[0]?.[1] ?? 'none'
  throw new Error(`${suite.name} has ${has}`)
}

function sourceOf({ keyring, mirror, name, components }: Suite): string {
  return `deb [signed-by=${keyring}] ${mirror} ${name} ${components}`
}
