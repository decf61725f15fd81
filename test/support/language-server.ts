import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

const root = join(import.meta.dirname, '../..')

interface Message {
  readonly id?: number
  readonly method?: string
  readonly params?: { readonly items?: readonly unknown[] }
  readonly result?: unknown
  readonly error?: unknown
}

/** The language server of the TypeScript compiler, over its standard streams: what editors show. */
export class LanguageServer implements AsyncDisposable {
  readonly #process: ChildProcess
  readonly #pending = new Map<number, (message: Message) => void>()
  #received = Buffer.alloc(0)
  #lastId = 0

  private constructor(process: ChildProcess) {
    this.#process = process
    process.stdout?.on('data', (chunk: Buffer) => this.#receive(chunk))
  }

  static async start(): Promise<LanguageServer> {
    const compiler = join(root, 'node_modules/.bin/tsc')
    const server = new LanguageServer(
      spawn(compiler, ['--lsp', '--stdio'], { cwd: root, stdio: ['pipe', 'pipe', 'ignore'] }),
    )
    const hover = { contentFormat: ['markdown'] }
    await server.#request('initialize', {
      processId: process.pid,
      rootUri: pathToFileURL(root).href,
      capabilities: { textDocument: { hover, completion: { completionItem: { documentationFormat: ['markdown'] } } } },
    })
    server.#send({ method: 'initialized', params: {} })
    return server
  }

  /** Opens a document that is not on disk, at this path below the repository. */
  open(path: string, text: string): string {
    const uri = pathToFileURL(join(root, path)).href
    this.#send({
      method: 'textDocument/didOpen',
      params: { textDocument: { uri, languageId: 'typescript', version: 1, text } },
    })
    return uri
  }

  /** The names that are offered at a place. */
  async completions(uri: string, position: { line: number; character: number }): Promise<string[]> {
    const result = await this.#request('textDocument/completion', { textDocument: { uri }, position })
    const { items } = result as { items: { label: string }[] }
    return items.map(({ label }) => label.replace(/\?$/, ''))
  }

  /** What is shown for the name at a place. */
  async hover(uri: string, position: { line: number; character: number }): Promise<string> {
    return JSON.stringify(await this.#request('textDocument/hover', { textDocument: { uri }, position }))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const exited = once(this.#process, 'exit')
    this.#process.kill()
    await exited
  }

  #request(method: string, params: object): Promise<unknown> {
    this.#lastId += 1
    const id = this.#lastId
    return new Promise((resolve, reject) => {
      this.#pending.set(id, ({ result, error }) => {
        if (error === undefined) resolve(result)
        else reject(new Error(`${method}: ${JSON.stringify(error)}`))
      })
      this.#send({ id, method, params })
    })
  }

  #send(message: object): void {
    const text = JSON.stringify({ jsonrpc: '2.0', ...message })
    this.#process.stdin?.write(`Content-Length: ${Buffer.byteLength(text)}\r\n\r\n${text}`)
  }

  #receive(chunk: Buffer): void {
    this.#received = Buffer.concat([this.#received, chunk])
    for (;;) {
      const headerEnd = this.#received.indexOf('\r\n\r\n')
      const length = Number(/Content-Length: (\d+)/i.exec(this.#received.subarray(0, headerEnd).toString())?.[1])
      const end = headerEnd + 4 + length
      if (headerEnd < 0 || this.#received.length < end) return
      const message: Message = JSON.parse(this.#received.subarray(headerEnd + 4, end).toString())
      this.#received = this.#received.subarray(end)
      this.#take(message)
    }
  }

  #take({ id, method, params, ...response }: Message): void {
    if (id === undefined) return
    // The server asks for settings and registers its abilities.
    if (method !== undefined) this.#send({ id, result: params?.items?.map(() => null) ?? null })
    else this.#pending.get(id)?.(response)
  }
}
