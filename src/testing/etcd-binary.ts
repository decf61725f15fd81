import { randomUUID } from 'node:crypto'
import { copyFileSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs'
import { homedir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { unpackDebianPackage } from './debian-package.js'
import {
  compareVersions,
  describeRequest,
  exactVersion,
  fitsRequest,
  isFreshEnough,
  parseVersionRequest,
  requestedSeries,
  type VersionRequest,
} from './etcd-version.js'
import { buildModules, buildWithGo, goBuildVersion } from './go-build.js'
import { lockFile } from './lock-file.js'
import { unpackReleaseArchive } from './release-archive.js'
import { tryCommand } from './run-command.js'
import { messageOf } from './thrown.js'

/** An etcd program with its tools. */
export interface EtcdBinary {
  /** The version, for example `3.5.30`. */
  readonly version: string
  /** Path of the server program. */
  readonly etcd: string
  /** Path of the matching etcdctl; undefined if there is none beside the server. */
  readonly etcdctl: string | undefined
  /** Path of the matching etcdutl, which exists since etcd 3.5; otherwise undefined. */
  readonly etcdutl: string | undefined
}

/** Options of `findEtcd()`. */
export interface FindEtcdOptions {
  /** Receives what is being downloaded or built, and how far a download is; not called if an installed etcd is found. */
  readonly onProgress?: (step: string) => void
  /** Ends a download or build. */
  readonly signal?: AbortSignal
}

const searches = new Map<string, Promise<EtcdBinary>>()

/**
 * Finds or downloads an etcd program. The first match wins: `ETCDKIT_ETCD` (a folder or a program), the cache folder
 * (`$XDG_CACHE_HOME/etcdkit`), `etcd` in the PATH, a build from the Go modules in this package if Go is installed, the
 * packages of Debian or Ubuntu, the official release archive, and for an exact version a build from Go's module proxy.
 * Downloads and builds go to the cache folder only.
 *
 * @param version a series ('3.5') or an exact version ('3.5.30'); default `ETCDKIT_ETCD_VERSION`, else the newest that is
 * available without a Go toolchain
 * @returns the program
 * @throws an `Error` with the reason of every attempt if no program is found
 */
export function findEtcd(
  version: string | undefined = process.env.ETCDKIT_ETCD_VERSION,
  options: FindEtcdOptions = {},
): Promise<EtcdBinary> {
  const key = [version, process.env.ETCDKIT_ETCD, cacheFolder(), process.env.PATH].join('\n')
  const search = searches.get(key) ?? searchEtcd(version, options)
  searches.set(key, search)
  search.catch(() => searches.delete(key))
  return search
}

async function searchEtcd(version: string | undefined, options: FindEtcdOptions): Promise<EtcdBinary> {
  const request = parseVersionRequest(version)
  return (
    (await fromEnvironment(request)) ?? fromCache(request) ?? (await fromPath(request)) ?? fetchLocked(request, options)
  )
}

async function fromEnvironment(request: VersionRequest): Promise<EtcdBinary | undefined> {
  const path = process.env.ETCDKIT_ETCD
  if (!path) return undefined
  const binary = await inspect(
    existsSync(path) && statSync(path).isDirectory() ? join(path, programName('etcd')) : path,
  )
  if (binary === undefined) throw new Error(`ETCDKIT_ETCD is '${path}', where no etcd program can be run`)
  // Tests that name another version get that one.
  return fitsRequest(binary.version, request) ? binary : undefined
}

async function fromPath(request: VersionRequest): Promise<EtcdBinary | undefined> {
  for (const folder of (process.env.PATH ?? '').split(delimiter)) {
    const etcd = join(folder, programName('etcd'))
    const binary = folder !== '' && existsSync(etcd) ? await inspect(etcd) : undefined
    if (binary !== undefined && fitsRequest(binary.version, request)) return binary
  }
  return undefined
}

function fromCache(request: VersionRequest, fits = isFreshEnough): EtcdBinary | undefined {
  const cache = cacheFolder()
  if (!existsSync(cache)) return undefined
  const versions = readdirSync(cache).filter((name) => /^\d+\.\d+\.\d+$/.test(name) && fits(name, request))
  // A request for a series gives the same release whatever else was fetched by its exact version.
  const usual = versions.find((name) => name === exactVersion(request))
  const version = usual ?? versions.sort(compareVersions).at(-1)
  return version === undefined ? undefined : describe(version, join(cache, version, programName('etcd')))
}

/** One process at a time downloads a series; other processes wait and then find it in the cache. */
async function fetchLocked(request: VersionRequest, options: FindEtcdOptions): Promise<EtcdBinary> {
  const cache = cacheFolder()
  mkdirSync(cache, { recursive: true })
  const release = await lockFile(join(cache, `.lock-${requestedSeries(request)}`), 1_200_000, options.signal)
  const staging = join(cache, `.fetch-${randomUUID()}`)
  try {
    return fromCache(request) ?? (await fetchInto(staging, request, options))
  } finally {
    rmSync(staging, { recursive: true, force: true })
    release()
  }
}

async function fetchInto(staging: string, request: VersionRequest, options: FindEtcdOptions): Promise<EtcdBinary> {
  const reasons: string[] = []
  for (const [index, source] of sourcesFor(request, options).entries()) {
    const folder = join(staging, String(index))
    mkdirSync(folder, { recursive: true })
    options.onProgress?.(`${describeRequest(request)}: ${source.name}`)
    try {
      return await keep(await source.fetch(folder), join(staging, 'programs'), request)
    } catch (error) {
      options.signal?.throwIfAborted()
      reasons.push(`${source.name}: ${messageOf(error)}`)
    }
  }
  const older = fromCache(request, fitsRequest)
  if (older !== undefined) return older
  throw new Error(notFoundMessage(request, reasons))
}

interface Source {
  readonly name: string
  /** Puts the programs into a folder inside `folder` and returns that folder. */
  readonly fetch: (folder: string) => Promise<string>
}

function sourcesFor(request: VersionRequest, options: FindEtcdOptions): Source[] {
  const sources: Source[] = []
  const version = exactVersion(request)
  if (goBuildVersion(request) !== undefined) {
    sources.push({ name: 'build with Go', fetch: (folder) => buildWithGo(request, folder, options.signal) })
  }
  sources.push({
    name: 'Debian or Ubuntu package',
    fetch: (folder) => unpackDebianPackage(request, folder, options.signal),
  })
  if (version !== undefined) {
    const mirror = process.env.ETCDKIT_ETCD_DOWNLOAD_URL || undefined
    sources.push({
      name: 'release archive',
      fetch: (folder) => unpackReleaseArchive(version, folder, { ...options, baseUrl: mirror }),
    })
    sources.push({ name: 'Go modules', fetch: (folder) => buildModules(version, folder, options.signal) })
  }
  return sources
}

/** Moves the programs into the cache in one step, so that no process sees an incomplete set. */
async function keep(fetched: string, programs: string, request: VersionRequest): Promise<EtcdBinary> {
  const binary = await inspect(join(fetched, programName('etcd')))
  if (binary === undefined) throw new Error('the fetched etcd does not run on this machine')
  if (!fitsRequest(binary.version, request)) throw new Error(`it gave etcd ${binary.version}`)
  mkdirSync(programs, { recursive: true })
  for (const path of [binary.etcd, binary.etcdctl, binary.etcdutl]) {
    if (path !== undefined) copyFileSync(path, join(programs, path.slice(dirname(path).length + 1)))
  }
  const target = join(cacheFolder(), binary.version)
  if (!existsSync(target)) renameSync(programs, target)
  return describe(binary.version, join(target, programName('etcd')))
}

function notFoundMessage(request: VersionRequest, reasons: readonly string[]): string {
  return [
    `cannot find or fetch ${describeRequest(request)}.`,
    'Install etcd in the PATH, or set ETCDKIT_ETCD to the etcd program or its folder.',
    'Attempts:',
    ...reasons.map((reason) => `- ${reason}`),
  ].join('\n')
}

/** Runs a program to read its version; undefined if it is not etcd or does not run on this machine. */
async function inspect(etcd: string): Promise<EtcdBinary | undefined> {
  const output = await tryCommand(etcd, ['--version'])
  const [, version] = /etcd Version: (\d+\.\d+\.\d+)/.exec(output ?? '') ?? []
  return version === undefined ? undefined : describe(version, etcd)
}

function describe(version: string, etcd: string): EtcdBinary {
  const beside = (name: string) => {
    const path = join(dirname(etcd), programName(name))
    return existsSync(path) ? path : undefined
  }
  return { version, etcd, etcdctl: beside('etcdctl'), etcdutl: beside('etcdutl') }
}

function programName(name: string): string {
  return process.platform === 'win32' ? `${name}.exe` : name
}

/** The folder that keeps downloads and builds. */
export function cacheFolder(): string {
  return join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'etcdkit')
}
