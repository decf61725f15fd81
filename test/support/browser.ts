import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Readable, Writable } from 'node:stream'
import type { Chromium } from './chromium.js'

type Message = Readonly<Record<string, unknown>>

/** A browser without a window, driven by its own protocol over a pipe. */
export class Browser implements AsyncDisposable {
  readonly #child: ChildProcess
  readonly #folder: string
  readonly #input: Writable
  readonly #waiting = new Map<number, (message: Message) => void>()
  #lastId = 0
  #rest = ''

  constructor({ program, env }: Chromium) {
    this.#folder = mkdtempSync(join(tmpdir(), 'etcdkit-browser-'))
    // The sandbox needs rights that containers do not have; nothing but pages of our own is shown.
    const flags = ['--headless', '--no-sandbox', '--disable-gpu', '--remote-debugging-pipe', '--no-first-run']
    this.#child = spawn(program, [...flags, `--user-data-dir=${this.#folder}`], {
      stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'],
      env,
    })
    const [, , , input, output] = this.#child.stdio
    this.#input = input as Writable
    ;(output as Readable).setEncoding('utf8').on('data', (piece: string) => this.#take(piece))
  }

  /** Opens a file, and gives what an expression yields there. */
  async evaluate(path: string, expression: string, width = 1200): Promise<unknown> {
    const { targetId } = await this.#send('Target.createTarget', { url: 'about:blank' })
    const { sessionId } = await this.#send('Target.attachToTarget', { targetId, flatten: true })
    const page = { sessionId: String(sessionId) }
    const size = { width, height: 1600, deviceScaleFactor: 1, mobile: false }
    await this.#send('Emulation.setDeviceMetricsOverride', size, page)
    await this.#send('Page.navigate', { url: `file://${path}` }, page)
    const loaded = `new Promise((resolve) => {
      const done = () => resolve(location.protocol === 'file:' ? (${expression}) : undefined)
      if (document.readyState === 'complete') done(); else addEventListener('load', done)
    })`
    const parameters = { expression: loaded, awaitPromise: true, returnByValue: true }
    const { result } = await this.#send('Runtime.evaluate', parameters, page)
    await this.#send('Target.closeTarget', { targetId })
    return (result as { value?: unknown }).value
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ended = new Promise((resolve) => this.#child.once('exit', resolve))
    this.#child.kill('SIGKILL')
    await ended
    rmSync(this.#folder, { recursive: true, force: true, maxRetries: 5 })
  }

  #send(method: string, params: Message, session: Message = {}): Promise<Message> {
    this.#lastId += 1
    const id = this.#lastId
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, ({ result, error }) => {
        if (error === undefined) resolve(result as Message)
        else reject(new Error(`${method}: ${JSON.stringify(error)}`))
      })
      this.#input.write(`${JSON.stringify({ id, method, params, ...session })}\0`)
    })
  }

  #take(piece: string): void {
    const messages = (this.#rest + piece).split('\0')
    this.#rest = messages.pop() ?? ''
    for (const text of messages) {
      const message: Message = JSON.parse(text)
      this.#waiting.get(Number(message.id))?.(message)
      this.#waiting.delete(Number(message.id))
    }
  }
}
