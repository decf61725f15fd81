import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { poll, reservePort } from '../../src/testing/index.js'
import { debianEnv, debianRoot } from './debian-root.js'

/** How a proxy is started. */
interface ProxyProgram {
  readonly program: string
  /** Its arguments; `write` puts its configuration into a file and returns the path; `root` is the folder of the proxies. */
  args(own: number, folder: string, write: (text: string) => string, root: string): string[]
}

const haproxy = (member: number): ProxyProgram => ({
  program: 'usr/sbin/haproxy',
  args: (own, _, write) => [
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
})

/** A balancer of connections, not of calls, that ends those on which nothing was sent for `idleMs`. */
const tcpBalancer = (members: readonly number[], idleMs: number): ProxyProgram => ({
  program: 'usr/sbin/haproxy',
  args: (own, _, write) => [
    '-db',
    '-f',
    write(`
defaults
  mode tcp
  timeout connect 2s
  timeout client ${idleMs}ms
  timeout server ${idleMs}ms
  retries 3
  option redispatch
listen etcd
  bind 127.0.0.1:${own}
  balance roundrobin
  default-server check inter 200ms fall 1 rise 1 on-marked-down shutdown-sessions
${members.map((port, index) => `  server m${index} 127.0.0.1:${port}`).join('\n')}
`),
  ],
})

interface NginxTls {
  readonly ca: string
  readonly certFile: string
  readonly keyFile: string
}

/** With `tls`, both for its clients and for the member. */
const nginx = (member: number, tls?: NginxTls): ProxyProgram => ({
  program: 'usr/sbin/nginx',
  args: (own, folder, write) => {
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
    listen 127.0.0.1:${own} ${tls ? 'ssl http2' : 'http2'};
    ${tls ? `ssl_certificate ${tls.certFile}; ssl_certificate_key ${tls.keyFile};` : ''}
    ${tls ? `grpc_ssl_verify on; grpc_ssl_trusted_certificate ${tls.ca}; grpc_ssl_name localhost;` : ''}
    location / { grpc_pass ${tls ? 'grpcs' : 'grpc'}://127.0.0.1:${member}; grpc_read_timeout 1m; grpc_send_timeout 1m; }
  }
}
`)
    return ['-p', folder, '-c', configuration]
  },
})

const nghttpx = (member: number): ProxyProgram => ({
  program: 'usr/sbin/nghttpx',
  args: (own) => [
    '--conf=/dev/null',
    `--frontend=127.0.0.1,${own};no-tls`,
    `--backend=127.0.0.1,${member};;proto=h2`,
    '--workers=1',
  ],
})

/** It sends a call to the member again at once after the member was down: by default it waits for a minute. */
const apache = (member: number): ProxyProgram => ({
  program: 'usr/sbin/apache2',
  args: (own, folder, write, root) => {
    const names = ['mpm_event', 'authz_core', 'http2', 'proxy', 'proxy_http2']
    const modules = names.map(
      (name) => `LoadModule ${name}_module ${join(root, 'usr/lib/apache2/modules', `mod_${name}.so`)}`,
    )
    const configuration = write(`
ServerRoot ${folder}
ServerName localhost
PidFile ${join(folder, 'pid')}
ErrorLog ${join(folder, 'log')}
Listen 127.0.0.1:${own}
${modules.join('\n')}
${process.getuid?.() === 0 ? 'User nobody' : ''}
Protocols h2c
ProxyPass / h2c://127.0.0.1:${member}/ retry=0
`)
    return ['-DFOREGROUND', '-f', configuration]
  },
})

/** Before version 2.3, it has HTTP/1.1 only for the member. */
const h2o = (member: number): ProxyProgram => ({
  program: 'usr/bin/h2o',
  args: (own, _, write) => [
    '-m',
    'worker',
    '-c',
    write(`
listen: {host: 127.0.0.1, port: ${own}}
num-threads: 1
${process.getuid?.() === 0 ? 'user: nobody' : ''}
hosts:
  default:
    paths:
      /: {proxy.reverse.url: "http://127.0.0.1:${member}/"}
`),
  ],
})

const programs = { haproxy, nginx, nghttpx, apache, h2o } as const

/** The proxies that speak HTTP/2 on both sides. */
export const proxyNames = ['haproxy', 'nginx', 'nghttpx'] as const

/** The folder with these proxies, from Debian; or why there is none, as an error. */
export function proxiesRoot(): Promise<string | Error> {
  return rootOf('http2-proxies', ['haproxy', 'nginx-light', 'nghttp2-proxy'])
}

/** The folder with the web servers Apache and h2o, which are proxies, too; or why there is none, as an error. */
export function webServersRoot(): Promise<string | Error> {
  return rootOf('web-servers', ['apache2-bin', 'h2o'])
}

async function rootOf(name: string, packages: readonly string[]): Promise<string | Error> {
  try {
    return await debianRoot(name, packages)
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error))
  }
}

/** Starts a proxy in front of a member, both without TLS, until the end of the test. Returns where it listens. */
export async function startProxy(
  t: TestContext,
  root: string,
  name: keyof typeof programs,
  memberPort: number,
): Promise<string> {
  const { port } = await start(t, root, programs[name](memberPort))
  return `http://127.0.0.1:${port}`
}

/** Starts nginx with TLS on both sides of it, until the end of the test. Returns where it listens. */
export async function startNginxTls(t: TestContext, root: string, memberPort: number, tls: NginxTls): Promise<string> {
  const { port } = await start(t, root, nginx(memberPort, tls))
  return `https://127.0.0.1:${port}`
}

/** Starts a balancer of connections in front of several members, until the end of the test. Returns its address. */
export async function startTcpBalancer(
  t: TestContext,
  root: string,
  memberPorts: readonly number[],
  { idleMs }: { readonly idleMs: number },
): Promise<string> {
  const { port } = await start(t, root, tcpBalancer(memberPorts, idleMs))
  return `127.0.0.1:${port}`
}

async function start(
  t: TestContext,
  root: string,
  { program, args }: ProxyProgram,
): Promise<{ readonly port: number }> {
  const own = await reservePort()
  const folder = mkdtempSync(join(tmpdir(), 'etcdkit-proxy-'))
  const write = (text: string): string => {
    const path = join(folder, 'configuration')
    writeFileSync(path, text)
    return path
  }
  const proxy = spawn(join(root, program), args(own.port, folder, write, root), {
    env: debianEnv(root),
    stdio: 'ignore',
  })
  const exited = once(proxy, 'exit')
  t.after(async () => {
    proxy.kill('SIGKILL')
    await exited
    rmSync(folder, { recursive: true, force: true })
    own.release()
  })
  await poll(`${program} listens`, () => canConnect(own.port))
  return own
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
