import { readdirSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'

export type Transport = 'http2' | 'grpc-js'

/** One test file on one version of etcd, over one transport. */
export interface Job {
  readonly version: string
  readonly transport: Transport
  /** The test file, relative to the root of the repository. */
  readonly file: string
}

/** The folders whose tests run on every version of etcd. */
const folders = ['integration', 'fault', 'ways-in', 'recovery']

export const root = join(import.meta.dirname, '../..')

/** The test files of the matrix whose path has one of these parts; all, without parts. */
export function matrixFiles(parts: readonly string[] = []): readonly string[] {
  return folders
    .flatMap((folder) => readdirSync(join(root, 'test', folder)).map((name) => join('test', folder, name)))
    .filter((file) => file.endsWith('.test.ts'))
    .filter((file) => parts.length === 0 || parts.some((part) => file.includes(part)))
    .sort()
}

/** Whether the tests of a file measure time, or have many clusters at once, so that they need free cores. */
export function isTimed({ file }: Pick<Job, 'file'>): boolean {
  return ['recovery', 'ways-in'].includes(relative('test', dirname(file)))
}

/** Files whose tests choose the transport themselves: they run once, for both. */
const filesOfBoth =
  /(ways-in|few-streams|fault\/http2|http2-proxies|leaving|moved-member|refused-calls|slow-links|forgotten-connections)/

/** Files whose subject is above the transport and is tested over the default one: what it is built of is tested over both. */
const filesAbove =
  /\/(bad-input|barrier|compactor|diagnostics|exporters|informer-persist|interoperation|listing-heap|lock-schedules|lock-scope|namespace|naming|nested-names|observability|options|own-keys|printing|queue|rw-lock|semaphore|stm|typed)\.test/

/** Whether the tests of a file run over this transport, among files that do not choose it themselves. */
export function runsOver(file: string, transport: Transport): boolean {
  return transport === 'http2' || !filesAbove.test(file)
}

export function runsOnBoth(file: string): boolean {
  return filesOfBoth.test(file)
}

/** A job in words, for a person. */
export function describeJob({ version, transport, file }: Job): string {
  return `${version} ${transport} ${relative('test', file).replace('.test.ts', '')}`
}
