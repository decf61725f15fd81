import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { poll, reservePort } from '../../src/testing/index.js'
import { debianEnv, debianRoot } from './debian-root.js'

/** How a proxy is started in front of a member, both without TLS. */
interface ProxyProgram {
  readonly program: string
  /** Its arguments; `write` puts its configuration into a file of this name and returns the path. */
  args(
    ports: { readonly own: number; readonly member: number },
    folder: string,
    write: (text: string) => string,
  ): string[]
}

const haproxy: ProxyProgram = {
  program: 'usr/sbin/haproxy',
  args: ({ own, member }, _, write) => [
    '-db',
    '-f',
    write(`
defaults
  mode http
  timeout connect 2s
  timeout client 1m
  timeout server 1m
listen etcd
  bind 127.0.0.1:${own} proto h2
  server member 127.0.0.1:${member} proto h2
`),
  ],
}

const nginx: ProxyProgram = {
  program: 'usr/sbin/nginx',
  args: ({ own, member }, folder, write) => {
    const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
      (name) => `${name}_temp_path ${join(folder, name)};`,
    )
    const configuration = write(`
daemon off;
pid ${join(folder, 'pid')};
error_log stderr;
${process.getuid?.() === 0 ? 'user root;' : ''}
events {}
http {
  access_log off;
  client_max_body_size 8m;
  ${temporary.join(' ')}
  server {
    listen 127.0.0.1:${own} http2;
    location / { grpc_pass grpc://127.0.0.1:${member}; grpc_read_timeout 1m; }
  }
}
`)
    return ['-p', folder, '-c', configuration]
  },
}

const nghttpx: ProxyProgram = {
  program: 'usr/sbin/nghttpx',
  args: ({ own, member }) => [
    '--conf=/dev/null',
    `--frontend=127.0.0.1,${own};no-tls`,
    `--backend=127.0.0.1,${member};;proto=h2`,
    '--workers=1',
  ],
}

const programs = { haproxy, nginx, nghttpx } as const

/** The proxies that speak HTTP/2 on both sides. */
export const proxyNames = ['haproxy', 'nginx', 'nghttpx'] as const

/** The folder with these proxies, from Debian; or why there is none, as an error. */
export async function proxiesRoot(): Promise<string | Error> {
  try {
    return await debianRoot('http2-proxies', ['haproxy', 'nginx-light', 'nghttp2-proxy'])
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error))
  }
}

/** Starts a proxy in front of a member until the end of the test, and returns where it listens. */
export async function startProxy(
  t: TestContext,
  root: string,
  name: (typeof proxyNames)[number],
  memberPort: number,
): Promise<string> {
  const own = await reservePort()
  const folder = mkdtempSync(join(tmpdir(), `etcdkit-${name}-`))
  const write = (text: string): string => {
    const path = join(folder, 'configuration')
    writeFileSync(path, text)
    return path
  }
  const { program, args } = programs[name]
  const ports = { own: own.port, member: memberPort }
  const proxy = spawn(join(root, program), args(ports, folder, write), { env: debianEnv(root), stdio: 'ignore' })
  const exited = once(proxy, 'exit')
  t.after(async () => {
    proxy.kill('SIGKILL')
    await exited
    rmSync(folder, { recursive: true, force: true })
    own.release()
  })
  await poll(`${name} listens`, () => canConnect(own.port))
  return `http://127.0.0.1:${own.port}`
}

async function canConnect(port: number): Promise<true | undefined> {
  const socket = connect(port, '127.0.0.1')
  try {
    await once(socket, 'connect')
    return true
  } catch {
    return undefined
  } finally {
    socket.destroy()
  }
}
