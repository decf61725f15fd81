import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { compareVersions, fitsRequest, requestedSeries, type VersionRequest } from './etcd-version.js'
import { runCommand } from './run-command.js'

/**
 * Builds etcd, etcdctl and etcdutl with the Go toolchain from the modules in `etcd-servers/<series>`, which the npm package
 * brings along. Returns the folder with the programs, which is inside the given existing folder.
 */
export async function buildWithGo(request: VersionRequest, folder: string, signal?: AbortSignal): Promise<string> {
  const source = sourceFolder(request)
  if (source === undefined) throw new Error('this package has no source for it')
  return build(source, folder, signal)
}

/**
 * Builds any release since 3.5 from Go's module proxy, which vouches for the modules' checksums. Returns the folder with
 * the programs, which is the given empty folder.
 */
export async function buildModules(version: string, folder: string, signal?: AbortSignal): Promise<string> {
  if (compareVersions(version, '3.5.0') < 0) throw new Error('etcd before 3.5 is no Go module with a version')
  writeFileSync(join(folder, 'go.mod'), 'module etcdkit.test/etcd-server\n')
  writeFileSync(join(folder, 'main.go'), mainProgram)
  const modules = ['server/v3', ...tools].map((module) => `go.etcd.io/etcd/${module}@v${version}`)
  const env = { ...process.env, GOFLAGS: '-mod=mod' }
  await runCommand('go', ['get', ...modules], { cwd: folder, env, signal, timeoutMs: 300_000 })
  return build(folder, folder, signal)
}

const tools = ['etcdctl/v3', 'etcdutl/v3'] as const

const mainProgram = `package main

import (
	"os"

	"go.etcd.io/etcd/server/v3/etcdmain"
)

func main() {
	etcdmain.Main(os.Args)
}
`

async function build(source: string, folder: string, signal: AbortSignal | undefined): Promise<string> {
  const env = { ...process.env, CGO_ENABLED: '0', GOFLAGS: '-mod=readonly -trimpath -buildvcs=false' }
  const goBuild = (...args: string[]) =>
    runCommand('go', ['build', '-ldflags=-s -w', '-o', ...args], { cwd: source, env, signal, timeoutMs: 900_000 })
  await goBuild(join(folder, process.platform === 'win32' ? 'etcd.exe' : 'etcd'), '.')
  await goBuild(`${folder}/`, ...tools.map((tool) => `go.etcd.io/etcd/${tool}`))
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
