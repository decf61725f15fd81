import { createHash } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { runCommand } from './run-command.js'
import { causeOf, messageOf } from './thrown.js'

/** Options of a download. */
export interface ArchiveOptions {
  /** A mirror with the layout of the official releases. */
  readonly baseUrl?: string | undefined
  readonly onProgress?: (step: string) => void
  readonly signal?: AbortSignal
}

interface DownloadOptions {
  readonly timeoutMs: number
  readonly signal: AbortSignal | undefined
  readonly report?: (doneBytes: number, allBytes: number) => void
}

const officialUrl = 'https://github.com/etcd-io/etcd/releases/download'

/**
 * Downloads an official release archive, compares it with the release's published SHA256SUMS and unpacks it into an
 * existing empty folder.
 *
 * Returns the folder with the programs.
 */
export async function unpackReleaseArchive(
  version: string,
  folder: string,
  { baseUrl = officialUrl, onProgress, signal }: ArchiveOptions = {},
): Promise<string> {
  const name = archiveName(version)
  const release = `${baseUrl.replace(/\/$/, '')}/v${version}`
  const sums = await download(`${release}/SHA256SUMS`, { timeoutMs: 15_000, signal })
  const expected = checksumOf(sums.toString(), name)
  const report = (done: number, all: number) => onProgress?.(`${name}: ${megabytes(done)} of ${megabytes(all)} MB`)
  const archive = await download(`${release}/${name}`, { timeoutMs: 300_000, signal, report })
  const actual = createHash('sha256').update(archive).digest('hex')
  if (actual !== expected) throw new Error(`${name} has checksum ${actual}, SHA256SUMS says ${expected}`)
  const file = join(folder, name)
  const unpacked = join(folder, 'unpacked')
  writeFileSync(file, archive)
  mkdirSync(unpacked)
  // bsdtar, which is the tar of macOS and Windows, unpacks zip files too.
  await runCommand(tarProgram(), ['-xf', file, '-C', unpacked, '--strip-components', '1'])
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

async function download(url: string, { timeoutMs, signal, report }: DownloadOptions): Promise<Buffer> {
  try {
    const timeout = AbortSignal.timeout(timeoutMs)
    const response = await fetch(url, { signal: signal === undefined ? timeout : AbortSignal.any([signal, timeout]) })
    if (!response.ok) throw new Error(`HTTP status ${response.status}`)
    return await contentOf(response, report)
  } catch (error) {
    throw new Error(`cannot download ${url}: ${downloadFailure(error)}`, { cause: error })
  }
}

async function contentOf(response: Response, report: DownloadOptions['report']): Promise<Buffer> {
  const allBytes = Number(response.headers.get('content-length'))
  const pieces: Uint8Array[] = []
  let doneBytes = 0
  for await (const piece of response.body ?? []) {
    pieces.push(piece)
    doneBytes += piece.length
    if (allBytes > 0) report?.(doneBytes, allBytes)
  }
  return Buffer.concat(pieces)
}

function megabytes(bytes: number): string {
  return (bytes / 1e6).toFixed()
}

/** Windows has bsdtar in a system folder; the PATH may have another tar, which cannot unpack zip files. */
function tarProgram(): string {
  return process.platform === 'win32' ? join(process.env.SystemRoot ?? 'C:\\Windows', 'System32', 'tar.exe') : 'tar'
}

/** fetch says only "fetch failed"; the reason is its cause. */
function downloadFailure(error: unknown): string {
  return messageOf(causeOf(error) ?? error)
}
