import { execFile } from 'node:child_process'
import { createHash, randomUUID } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { cacheFolder } from '../../src/testing/etcd-binary.js'
import { lockFile } from '../../src/testing/lock-file.js'

/**
 * The `node_modules` folder with the dependencies that a `package.json` lists. They come from the npm registry once and stay in
 * the cache folder: `npm ci` does not install what a single test needs.
 */
export function npmModules(list: string): Promise<string> {
  return installedModules(readFileSync(list, 'utf8'))
}

/** The same for a list that a test has made. */
export async function installedModules(manifest: string): Promise<string> {
  const version = createHash('sha256').update(manifest).digest('hex').slice(0, 12)
  const folder = join(cacheFolder(), 'package-tools', version)
  mkdirSync(join(folder, '..'), { recursive: true })
  const release = await lockFile(`${folder}.lock`, 600_000)
  try {
    if (!existsSync(folder)) await install(manifest, folder)
  } finally {
    release()
  }
  return join(folder, 'node_modules')
}

async function install(manifest: string, folder: string): Promise<void> {
  const staging = `${folder}-${randomUUID()}`
  mkdirSync(staging)
  writeFileSync(join(staging, 'package.json'), manifest)
  const flags = ['--prefer-offline', '--ignore-scripts', '--no-audit', '--no-fund', '--no-package-lock']
  try {
    await promisify(execFile)('npm', ['install', ...flags], { cwd: staging })
    renameSync(staging, folder)
  } finally {
    rmSync(staging, { recursive: true, force: true })
  }
}
