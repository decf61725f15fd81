import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, afterEach, before, beforeEach, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { unpackDebianPackage } from '../../src/testing/debian-package.js'
import { findEtcd } from '../../src/testing/index.js'
import { archiveName } from '../../src/testing/release-archive.js'

const variables = [
  'ETCDKIT_ETCD',
  'ETCDKIT_ETCD_VERSION',
  'ETCDKIT_ETCD_DOWNLOAD_URL',
  'XDG_CACHE_HOME',
  'PATH',
] as const

/** Writes a program that says it is this version of etcd. */
function writeFakeEtcd(folder: string, version: string): string {
  mkdirSync(folder, { recursive: true })
  for (const name of ['etcd', 'etcdctl']) {
    writeFileSync(join(folder, name), `#!/bin/sh\necho "${name} Version: ${version}"\n`)
    chmodSync(join(folder, name), 0o755)
  }
  return join(folder, 'etcd')
}

describe('findEtcd()', () => {
  const saved = Object.fromEntries(variables.map((name) => [name, process.env[name]]))
  let folder: string
  let cache: string

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'etcdkit-test-'))
    cache = join(folder, 'cache', 'etcdkit')
    for (const name of variables) if (name !== 'PATH') delete process.env[name]
    process.env.XDG_CACHE_HOME = join(folder, 'cache')
  })
  afterEach(() => {
    for (const name of variables) {
      if (saved[name] === undefined) delete process.env[name]
      else process.env[name] = saved[name]
    }
    rmSync(folder, { recursive: true })
  })

  /** Puts a folder in front of the PATH, so that its etcd is the one found. */
  function onPath(version: string): string {
    const etcd = writeFakeEtcd(join(folder, `path-${version}`), version)
    process.env.PATH = `${join(etcd, '..')}:${process.env.PATH}`
    return etcd
  }

  test('uses ETCDKIT_ETCD first, as a folder or as a program', async () => {
    const etcd = writeFakeEtcd(join(folder, 'own'), '3.5.99')
    writeFakeEtcd(join(cache, '3.5.98'), '3.5.98')
    onPath('3.5.97')
    process.env.ETCDKIT_ETCD = etcd
    const expected = { version: '3.5.99', etcd, etcdctl: join(folder, 'own/etcdctl'), etcdutl: undefined }
    assert.deepEqual(await findEtcd(), expected)
    assert.deepEqual(await findEtcd('3.5'), expected)
    process.env.ETCDKIT_ETCD = join(folder, 'own')
    assert.deepEqual(await findEtcd(), expected)
  })

  test('skips ETCDKIT_ETCD when another version is requested, and reports when it is not etcd', async () => {
    process.env.ETCDKIT_ETCD = writeFakeEtcd(join(folder, 'own'), '3.5.99')
    const other = onPath('3.4.99')
    assert.equal((await findEtcd('3.4')).etcd, other)
    process.env.ETCDKIT_ETCD = join(folder, 'nothing')
    await assert.rejects(findEtcd(), /ETCDKIT_ETCD is '.*nothing', where no etcd program can be run/)
  })

  test('uses the newest of the series in the cache before the PATH', async () => {
    for (const version of ['3.5.98', '3.5.100', '3.5.99', '3.4.99']) writeFakeEtcd(join(cache, version), version)
    onPath('3.5.200')
    assert.equal((await findEtcd()).version, '3.5.100')
    assert.equal((await findEtcd('3.5.99')).version, '3.5.99')
    assert.equal((await findEtcd('3.4')).version, '3.4.99')
    process.env.ETCDKIT_ETCD_VERSION = '3.5.98'
    assert.equal((await findEtcd()).version, '3.5.98')
  })

  test('uses etcd in the PATH only when its version fits', async () => {
    const etcd = onPath('3.6.99')
    assert.equal((await findEtcd()).etcd, etcd)
    assert.equal((await findEtcd('3.6.99')).etcd, etcd)
    const older = onPath('3.3.27')
    assert.equal((await findEtcd('3.3')).etcd, older)
    assert.equal((await findEtcd()).etcd, etcd)
  })

  test('rejects an invalid version', async () => {
    await assert.rejects(findEtcd('newest'), TypeError)
  })

  describe('with a release server', () => {
    // A version that no distribution and no source folder has.
    const version = '3.2.99'
    const name = archiveName(version)
    const requests: string[] = []
    const files = new Map<string, Buffer>()
    const server = createServer((request, response) => {
      requests.push(String(request.url))
      const file = files.get(String(request.url))
      response.writeHead(file === undefined ? 404 : 200, { 'content-length': file?.length ?? 0 }).end(file)
    })

    before(async () => {
      server.listen(0, '127.0.0.1')
      await once(server, 'listening')
    })
    after(() => {
      server.close()
      server.closeAllConnections()
    })
    beforeEach(() => {
      requests.length = 0
      const { port } = server.address() as AddressInfo
      process.env.ETCDKIT_ETCD_DOWNLOAD_URL = `http://127.0.0.1:${port}/download/`
      publish(packArchive())
    })

    function packArchive(): Buffer {
      const unpacked = join(folder, 'archive', 'etcd-release')
      writeFakeEtcd(unpacked, version)
      const file = join(folder, 'archive', name)
      execFileSync('tar', ['-czf', file, '-C', join(folder, 'archive'), 'etcd-release'])
      return readFileSync(file)
    }

    function publish(archive: Buffer, checksum = createHash('sha256').update(archive).digest('hex')): void {
      files.set(`/download/v${version}/${name}`, archive)
      files.set(`/download/v${version}/SHA256SUMS`, Buffer.from(`${'0'.repeat(64)}  other.zip\n${checksum}  ${name}\n`))
    }

    test('downloads a release once, verifies it and keeps it in the cache', async () => {
      const binary = await findEtcd(version)
      assert.deepEqual(binary, {
        version,
        etcd: join(cache, version, 'etcd'),
        etcdctl: join(cache, version, 'etcdctl'),
        etcdutl: undefined,
      })
      assert.equal(execFileSync(binary.etcd, { encoding: 'utf8' }), `etcd Version: ${version}\n`)
      assert.deepEqual(readdirSync(cache), [version])
      assert.deepEqual(await findEtcd(version), binary)
      assert.deepEqual(requests, [`/download/v${version}/SHA256SUMS`, `/download/v${version}/${name}`])
    })

    test('reports its progress, and ends a download with the reason of the signal', async () => {
      const ending = new AbortController()
      const steps: string[] = []
      const onProgress = (step: string) => {
        steps.push(step)
        if (step.endsWith('MB')) ending.abort(new Error('ended'))
      }
      await assert.rejects(findEtcd(version, { onProgress, signal: ending.signal }), /^Error: ended$/)
      assert.deepEqual(steps.slice(-2), [`etcd ${version}: release archive`, `${name}: 0 of 0 MB`])
      assert.deepEqual(readdirSync(cache), [])
    })

    test('rejects an archive with another checksum', async () => {
      publish(packArchive(), 'f'.repeat(64))
      await assert.rejects(findEtcd(version), /checksum [0-9a-f]{64}, SHA256SUMS says f{64}/)
      assert.deepEqual(readdirSync(cache), [])
    })

    test('reports what to install and what was tried when the version is not available', async () => {
      files.clear()
      await assert.rejects(findEtcd(version), ({ message }: Error) => {
        assert.match(message, /cannot find or fetch etcd 3\.2\.99/)
        assert.match(message, /set ETCDKIT_ETCD/)
        assert.match(message, /- Debian or Ubuntu package: /)
        assert.match(message, /- release archive: cannot download .*SHA256SUMS: HTTP status 404/)
        return true
      })
      assert.equal(existsSync(join(cache, version)), false)
    })

    test('downloads once for many processes that start at the same time', async () => {
      const script = `
        import { findEtcd } from ${JSON.stringify(import.meta.resolve('../../src/testing/index.ts'))}
        console.log((await findEtcd('${version}')).etcd)`
      const run = async () => {
        const args = ['--import', import.meta.resolve('../support/typescript.js'), '--input-type=module', '-e', script]
        const child = spawn(process.execPath, args, { cwd: fileURLToPath(new URL('../..', import.meta.url)) })
        child.stderr.pipe(process.stderr)
        const [output] = await once(child.stdout, 'data')
        return String(output).trim()
      }
      const found = await Promise.all([run(), run(), run()])
      assert.deepEqual(new Set(found), new Set([join(cache, version, 'etcd')]))
      assert.equal(requests.length, 2)
    })
  })
})

const noDebian = existsSync('/usr/share/keyrings/debian-archive-keyring.gpg') ? false : 'this is no Debian system'

describe('unpackDebianPackage()', { skip: noDebian }, () => {
  /** Names and times of what apt keeps for the system, as far as every user may look. */
  function systemState(): string[] {
    return ['/var/lib/apt', '/var/lib/apt/lists', '/var/cache/apt', '/var/cache/apt/archives', '/etc/apt'].flatMap(
      (folder) => readdirSync(folder).map((name) => `${folder}/${name} ${statSync(join(folder, name)).mtimeMs}`),
    )
  }

  test("unpacks etcd and etcdctl without touching the system's apt state", async () => {
    const folder = mkdtempSync(join(tmpdir(), 'etcdkit-test-'))
    const before = systemState()
    const programs = await unpackDebianPackage({ kind: 'series', series: '3.4' }, folder)
    assert.deepEqual(readdirSync(programs).sort(), ['etcd', 'etcdctl'])
    assert.match(execFileSync(join(programs, 'etcd'), ['--version'], { encoding: 'utf8' }), /etcd Version: 3\.4\./)
    assert.deepEqual(systemState(), before)
    rmSync(folder, { recursive: true })
  })

  test('lists the versions of the suites when none fits', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'etcdkit-test-'))
    const request = { kind: 'exact', version: '3.4.1' } as const
    await assert.rejects(unpackDebianPackage(request, folder), /bookworm has 3\.4\./)
    rmSync(folder, { recursive: true })
  })
})

describe('archiveName()', () => {
  test('is the name that the etcd project gives its archives', () => {
    assert.equal(archiveName('3.5.30', 'linux', 'x64'), 'etcd-v3.5.30-linux-amd64.tar.gz')
    assert.equal(archiveName('3.5.30', 'darwin', 'arm64'), 'etcd-v3.5.30-darwin-arm64.zip')
    assert.equal(archiveName('3.5.30', 'win32', 'x64'), 'etcd-v3.5.30-windows-amd64.zip')
  })
})
