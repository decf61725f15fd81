import { execFileSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'

const root = join(import.meta.dirname, '../..')

/** Packs the package as it was built, and returns the path of the tarball. */
export function pack(folder: string): string {
  return packFrom(root, folder, /^etcdkit-\d.*\.tgz$/)
}

/** Packs the package that stands for etcd3 by its name. */
export function packAlias(folder: string): string {
  return packFrom(join(root, 'packages/etcd3-alias'), folder, /^etcdkit-etcd3-.*\.tgz$/)
}

function packFrom(source: string, folder: string, pattern: RegExp): string {
  execFileSync('npm', ['pack', '--ignore-scripts', '--silent', '--pack-destination', folder], { cwd: source })
  const tarball = readdirSync(folder).find((name) => pattern.test(name))
  if (tarball === undefined) throw new Error(`npm pack has left no tarball in ${folder}`)
  return join(folder, tarball)
}
