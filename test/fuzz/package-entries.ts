import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

const root = join(import.meta.dirname, '../..')

/** Starts processes, and is a tool of tests. */
const excluded = ['./testing', './package.json']

/** The modules of the built package, by the name of their entry point: a new entry point is among them. */
export async function packageEntries(): Promise<ReadonlyMap<string, Record<string, unknown>>> {
  const { exports } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
    exports: Record<string, { import: { default: string } }>
  }
  const entries = Object.entries(exports).filter(([name]) => !excluded.includes(name))
  const load = async (file: string): Promise<Record<string, unknown>> => import(pathToFileURL(join(root, file)).href)
  return new Map(
    await Promise.all(entries.map(async ([name, { import: at }]) => [name, await load(at.default)] as const)),
  )
}

const entries = await packageEntries()

/** The built package, with the types of its source. */
export const kit = entries.get('.') as typeof import('../../src/index.js')
export const etcd3 = entries.get('./etcd3') as typeof import('../../src/etcd3/index.js')
export const naming = entries.get('./naming') as typeof import('../../src/naming/index.js')
export const workqueue = entries.get('./workqueue') as typeof import('../../src/workqueue/index.js')
export const otel = entries.get('./otel') as typeof import('../../src/otel/index.js')
export const prometheus = entries.get('./prometheus') as typeof import('../../src/prometheus/index.js')
