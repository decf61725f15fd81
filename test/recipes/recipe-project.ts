import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { poll } from '../../src/testing/index.js'
import { reservePort } from '../../src/testing/ports.js'
import { type Ended, packInto, unpackInto } from '../package/packed-package.js'
import { installedModules } from '../support/npm-modules.js'

const root = join(import.meta.dirname, '../..')

/**
 * A project with the packed package and, from the cache folder, everything that the recipes use. All packages are real
 * folders, since some bundlers do not follow links: the project lies beside the `node_modules` of the cache.
 */
export class RecipeProject {
  readonly folder: string
  readonly tarball: string
  readonly #modules: string

  private constructor(folder: string, tarball: string, modules: string, manifest: object) {
    this.folder = folder
    this.tarball = tarball
    this.#modules = modules
    this.write('package.json', JSON.stringify({ name: 'project', private: true, ...manifest }))
  }

  static async create(manifest: object = { type: 'module' }): Promise<RecipeProject> {
    const modules = await installedModules(packageList())
    const folder = mkdtempSync(join(modules, '../project-'))
    return new RecipeProject(folder, await unpackInto(folder), modules, manifest)
  }

  /** A project elsewhere, with nothing but the tarball, for package managers. */
  static async createWithTarball(): Promise<RecipeProject> {
    const folder = mkdtempSync(join(tmpdir(), 'etcdkit-recipe-'))
    return new RecipeProject(folder, await packInto(folder), '', { type: 'module' })
  }

  /** A folder elsewhere without any package. */
  static createEmpty(): RecipeProject {
    return new RecipeProject(mkdtempSync(join(tmpdir(), 'etcdkit-recipe-')), '', '', {})
  }

  /** Copies a file or folder of the repository. */
  copy(from: string, to: string): void {
    mkdirSync(dirname(join(this.folder, to)), { recursive: true })
    cpSync(join(root, from), join(this.folder, to), { recursive: true })
  }

  write(name: string, content: string): void {
    mkdirSync(dirname(join(this.folder, name)), { recursive: true })
    writeFileSync(join(this.folder, name), content)
  }

  read(name: string): string {
    return readFileSync(join(this.folder, name), 'utf8')
  }

  /** The path of a file in one of the installed packages. */
  installed(path: string): string {
    return join(this.#modules, path)
  }

  /** The path of a program that npm has installed in a package for this platform, the only one of its scope. */
  native(scope: string, program: string): string {
    const [name] = readdirSync(join(this.#modules, scope))
    if (name === undefined) throw new Error(`${scope} has no package for this platform`)
    return join(this.#modules, scope, name, program)
  }

  /** Runs a program of the installed packages in the project. */
  bin(name: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Ended> {
    return this.run(this.installed(`.bin/${name}`), args, env)
  }

  /** Runs any program in the project, and rejects with its output if it fails. */
  async run(program: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Ended> {
    const options = { cwd: this.folder, env: environment(env), timeout: 400_000, maxBuffer: 1e8 }
    try {
      return await promisify(execFile)(program, args, { ...options, encoding: 'utf8', killSignal: 'SIGKILL' })
    } catch (error) {
      const { stdout = '', stderr = '' } = error as Partial<Ended>
      throw new Error(`${program} ${args.join(' ')} failed:\n${stdout}\n${stderr}`, { cause: error })
    }
  }

  /** Starts a service on a free port and waits until it accepts connections. */
  async start(args: readonly string[], env: NodeJS.ProcessEnv): Promise<Service> {
    const reserved = await reservePort()
    const variables = environment({ ...env, HOST: '127.0.0.1', PORT: String(reserved.port) })
    const child = spawn(process.execPath, args, { cwd: this.folder, env: variables, stdio: ['ignore', 'pipe', 'pipe'] })
    const service = new Service(child, `http://127.0.0.1:${reserved.port}`, () => reserved.release())
    try {
      await service.listening()
    } catch (error) {
      await service.kill()
      throw new Error(`the service does not answer:\n${service.output}`, { cause: error })
    }
    return service
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true })
  }
}

/** A running service of a project. */
export class Service {
  readonly #child: ChildProcess
  readonly #url: string
  readonly #exit: Promise<unknown>
  readonly #release: () => void
  output = ''

  constructor(child: ChildProcess, url: string, release: () => void) {
    this.#child = child
    this.#url = url
    this.#release = release
    this.#exit = once(child, 'exit')
    for (const stream of [child.stdout, child.stderr]) stream?.on('data', (text) => (this.output += text))
  }

  async listening(): Promise<void> {
    await poll('the service listens', () => fetch(this.#url), { timeoutMs: 60_000 })
  }

  fetch(path: string, init: RequestInit = {}): Promise<Response> {
    const headers = { connection: 'close', ...init.headers }
    return fetch(`${this.#url}${path}`, { signal: AbortSignal.timeout(60_000), ...init, headers })
  }

  /** Sends SIGTERM and resolves with the exit code or the signal when the service has ended without help. */
  async terminate(): Promise<number | NodeJS.Signals | null> {
    this.#child.kill('SIGTERM')
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), 10_000)
    await this.#exit
    clearTimeout(timer)
    this.#release()
    return this.#child.exitCode ?? this.#child.signalCode
  }

  async kill(): Promise<void> {
    this.#child.kill('SIGKILL')
    await this.#exit
    this.#release()
  }
}

/** The recipes' packages, and the dependencies of etcdkit in the ranges that it declares. */
function packageList(): string {
  const recipes = JSON.parse(readFileSync(join(import.meta.dirname, 'packages.json'), 'utf8'))
  const { dependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  return JSON.stringify({ ...recipes, dependencies: { ...dependencies, ...recipes.dependencies } })
}

/** Nested test runners report differently when they see that they run in one. */
function environment(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return { ...process.env, NODE_TEST_CONTEXT: undefined, CI: 'true', NEXT_TELEMETRY_DISABLED: '1', ...env }
}
