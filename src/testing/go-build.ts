import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { fitsRequest, requestedSeries, type VersionRequest } from './etcd-version.js'
import { runCommand } from './run-command.js'

/**
 * Builds etcd, etcdctl and etcdutl with the Go toolchain from the modules in `etcd-servers/<series>`, which the npm package
 * brings along. Returns the folder with the programs, which is inside the given existing folder.
 */
export async function buildWithGo(request: VersionRequest, folder: string, signal?: AbortSignal): Promise<string> {
  const source = sourceFolder(request)
  if (source === undefined) throw new Error('this package has no source for it')
  const env = { ...process.env, CGO_ENABLED: '0', GOFLAGS: '-mod=readonly -trimpath -buildvcs=false' }
  const build = (...args: string[]) =>
    runCommand('go', ['build', '-ldflags=-s -w', '-o', ...args], { cwd: source, env, signal, timeoutMs: 900_000 })
  await build(join(folder, process.platform === 'win32' ? 'etcd.exe' : 'etcd'), '.')
  await build(`${folder}/`, 'go.etcd.io/etcd/etcdctl/v3', 'go.etcd.io/etcd/etcdutl/v3')
  return folder
}

/** The version that a build for this request would give; undefined where there is no such source. */
export function goBuildVersion(request: VersionRequest): string | undefined {
  const source = sourceFolder(request)
  return source === undefined ? undefined : moduleVersion(source)
}

/** Beside this file; where a bundler has put it elsewhere, without a URL even, there is none. */
function serversFolder(): string | undefined {
  const here: string | undefined = import.meta.url
  return here === undefined ? undefined : fileURLToPath(new URL('./etcd-servers/', here))
}

function sourceFolder(request: VersionRequest): string | undefined {
  const folder = join(serversFolder() ?? '', requestedSeries(request))
  if (!existsSync(join(folder, 'go.mod'))) return undefined
  return fitsRequest(moduleVersion(folder) ?? '', request) ? folder : undefined
}

function moduleVersion(folder: string): string | undefined {
  const goMod = readFileSync(join(folder, 'go.mod'), 'utf8')
  return /go\.etcd\.io\/etcd\/server\/v3 v(\d+\.\d+\.\d+)/.exec(goMod)?.[1]
}
