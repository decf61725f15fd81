import { execFile } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'

const root = join(import.meta.dirname, '../..')
const modules = join(root, 'node_modules')

/** What a TypeScript project has beside the package. */
const projectDependencies = ['typescript', '@types/node']

/** What a project has that uses the adapters, or logs. */
const adapterDependencies = [
  '@opentelemetry/api',
  '@opentelemetry/sdk-metrics',
  '@opentelemetry/sdk-trace-base',
  'pino',
  'prom-client',
]

/** How a program ended. */
export interface Ended {
  readonly stdout: string
  readonly stderr: string
}

/** Runs a program and rejects, with its output in the message, when it fails or takes more than a minute. */
export async function run(
  program: string,
  args: readonly string[],
  cwd: string,
  variables: NodeJS.ProcessEnv = {},
): Promise<Ended> {
  try {
    const env = { ...process.env, ...variables }
    const options = { cwd, env, timeout: 60_000, killSignal: 'SIGKILL', maxBuffer: 1e8 } as const
    return await promisify(execFile)(program, args, options)
  } catch (error) {
    const { stdout = '', stderr = '' } = error as Partial<Ended>
    throw new Error(`${program} ${args.join(' ')} failed:\n${stdout}\n${stderr}`, { cause: error })
  }
}

/** Path of a program that a development dependency brings along. */
export function devProgram(name: string): string {
  return join(modules, '.bin', name)
}

/** The package as npm would publish it, installed in an otherwise empty project. */
export class PackedPackage implements Disposable {
  readonly folder: string
  readonly tarball: string

  private constructor(folder: string, tarball: string) {
    this.folder = folder
    this.tarball = tarball
  }

  /** Packs what has been built and installs it, with its dependencies linked from here, so that no network is needed. */
  static async install(): Promise<PackedPackage> {
    const folder = mkdtempSync(join(tmpdir(), 'etcdkit-package-'))
    const tarball = await unpackInto(folder)
    for (const name of [...declaredDependencies(folder), ...projectDependencies]) {
      link(join(modules, name), join(folder, 'node_modules', name))
    }
    writeFileSync(join(folder, 'package.json'), JSON.stringify({ name: 'project', private: true, type: 'module' }))
    return new PackedPackage(folder, tarball)
  }

  /** Adds what the adapters for metrics and traces ask for, which nothing else needs. */
  addAdapterDependencies(): void {
    for (const name of adapterDependencies) this.link(join(modules, name), join('node_modules', name))
  }

  /** Writes a file of the project and returns its path. */
  write(name: string, content: string): string {
    const path = join(this.folder, name)
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, content)
    return path
  }

  /** Runs a script of the project with Node. */
  node(...args: readonly string[]): Promise<Ended> {
    return run(process.execPath, args, this.folder)
  }

  /** Makes what lies at `target` a package of the project, or of a folder in it. */
  link(target: string, path: string): void {
    const place = join(this.folder, path)
    if (!existsSync(place)) link(target, place)
  }

  /** Runs the TypeScript compiler in the project. */
  tsc(...args: readonly string[]): Promise<Ended> {
    return run(devProgram('tsc'), args, this.folder)
  }

  [Symbol.dispose](): void {
    rmSync(this.folder, { recursive: true, force: true })
  }
}

/** Packs what has been built. Returns the path of the tarball. */
export async function packInto(folder: string): Promise<string> {
  await run('npm', ['pack', '--ignore-scripts', '--silent', '--pack-destination', folder], root)
  const { stdout } = await run('find', [folder, '-maxdepth', '1', '-name', '*.tgz'], folder)
  return stdout.trim()
}

/** Packs what has been built and unpacks it into `node_modules/etcdkit`. Returns the path of the tarball. */
export async function unpackInto(folder: string): Promise<string> {
  const tarball = await packInto(folder)
  await run('tar', ['-xzf', tarball, '-C', folder], folder)
  mkdirSync(join(folder, 'node_modules'))
  renameSync(join(folder, 'package'), join(folder, 'node_modules/etcdkit'))
  return tarball
}

/** What the package itself asks for, and so all that it finds. */
function declaredDependencies(folder: string): string[] {
  const manifest = JSON.parse(readFileSync(join(folder, 'node_modules/etcdkit/package.json'), 'utf8'))
  return Object.keys(manifest.dependencies)
}

function link(target: string, path: string): void {
  if (!existsSync(target)) throw new Error(`${target} is missing: run npm ci`)
  mkdirSync(dirname(path), { recursive: true })
  symlinkSync(target, path)
}
