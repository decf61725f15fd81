import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Readable, Writable } from 'node:stream'
import type { Chromium } from './chromium.js'

type Message = Readonly<Record<string, unknown>>

/** How a page is shown. */
export interface View {
  /** @default 1200 */
  readonly width?: number
  /** @default 1600 */
  readonly height?: number
  /** @default false */
  readonly isDark?: boolean
}

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
  async evaluate(path: string, expression: string, view: View = {}): Promise<unknown> {
    return this.#withPage(path, view, async (page) => {
      const parameters = { expression, awaitPromise: true, returnByValue: true }
      const { result, exceptionDetails } = await this.#send('Runtime.evaluate', parameters, page)
      if (exceptionDetails !== undefined) throw new Error(JSON.stringify(exceptionDetails))
      return (result as { value?: unknown }).value
    })
  }

  /** Draws a file as PNG: all of it, or what is visible at first. */
  async screenshot(path: string, view: View & { readonly all?: boolean } = {}): Promise<Buffer> {
    return this.#withPage(path, view, async (page) => {
      const parameters = { format: 'png', captureBeyondViewport: view.all === true }
      const { data } = await this.#send('Page.captureScreenshot', parameters, page)
      return Buffer.from(String(data), 'base64')
    })
  }

  /** Opens a file in its own page, and closes it after `use`. */
  async #withPage<T>(path: string, view: View, use: (page: Message) => Promise<T>): Promise<T> {
    const { width = 1200, height = 1600, isDark = false } = view
    const { targetId } = await this.#send('Target.createTarget', { url: 'about:blank' })
    const { sessionId } = await this.#send('Target.attachToTarget', { targetId, flatten: true })
    const page = { sessionId: String(sessionId) }
    const size = { width, height, deviceScaleFactor: 1, mobile: false }
    await this.#send('Emulation.setDeviceMetricsOverride', size, page)
    const scheme = { name: 'prefers-color-scheme', value: isDark ? 'dark' : 'light' }
    await this.#send('Emulation.setEmulatedMedia', { features: [scheme] }, page)
    await this.#send('Page.navigate', { url: `file://${path}` }, page)
    const loaded = `new Promise((resolve) => {
      if (document.readyState === 'complete') resolve(); else addEventListener('load', resolve)
    })`
    await this.#send('Runtime.evaluate', { expression: loaded, awaitPromise: true }, page)
    try {
      return await use(page)
    } finally {
      await this.#send('Target.closeTarget', { targetId })
    }
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
