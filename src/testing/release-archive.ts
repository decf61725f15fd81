import { createHash } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { runCommand } from './run-command.js'

const officialUrl = 'https://github.com/etcd-io/etcd/releases/download'

/**
 * Downloads an official release archive, compares it with the release's published SHA256SUMS and unpacks it into an
 * existing empty folder. `baseUrl` is a mirror with the same layout.
 *
 * Returns the folder with the programs.
 */
export async function unpackReleaseArchive(version: string, folder: string, baseUrl = officialUrl): Promise<string> {
  const name = archiveName(version)
  const release = `${baseUrl.replace(/\/$/, '')}/v${version}`
  const sums = await download(`${release}/SHA256SUMS`, 15_000)
  const expected = checksumOf(sums.toString(), name)
  const archive = await download(`${release}/${name}`, 300_000)
  const actual = createHash('sha256').update(archive).digest('hex')
  if (actual !== expected) throw new Error(`${name} has checksum ${actual}, SHA256SUMS says ${expected}`)
  const file = join(folder, name)
  const unpacked = join(folder, 'unpacked')
  writeFileSync(file, archive)
  mkdirSync(unpacked)
  // bsdtar, which is the tar of macOS and Windows, unpacks zip files too.
  await runCommand('tar', ['-xf', file, '-C', unpacked, '--strip-components', '1'])
  return unpacked
}

/** The file name of a release for the machine's system and processor. */
export function archiveName(version: string, platform = process.platform, arch = process.arch): string {
  const system = platform === 'win32' ? 'windows' : platform
  const processor = arch === 'x64' ? 'amd64' : arch
  return `etcd-v${version}-${system}-${processor}${system === 'linux' ? '.tar.gz' : '.zip'}`
}

function checksumOf(sums: string, name: string): string {
  for (const line of sums.split('\n')) {
    const [sum, file] = line.trim().split(/\s+\*?/)
    if (file === name && sum !== undefined) return sum.toLowerCase()
  }
  throw new Error(`SHA256SUMS does not list ${name}`)
}

async function download(url: string, timeoutMs: number): Promise<Buffer> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(timeoutMs) })
    if (!response.ok) throw new Error(`HTTP status ${response.status}`)
    return Buffer.from(await response.arrayBuffer())
  } catch (error) {
    throw new Error(`cannot download ${url}: ${downloadFailure(error)}`, { cause: error })
  }
}

/** fetch says only "fetch failed"; the reason is its cause. */
function downloadFailure(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return error.cause instanceof Error ? error.cause.message : error.message
}
