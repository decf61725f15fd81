import { generateKeyPairSync } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** A token in the form of a JWT with these claims, and a signature that nobody made. */
export function unsignedJwt(claims: unknown): string {
  const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url')
  return `${part({ alg: 'RS256' })}.${part(claims)}.c2lnbmF0dXJl`
}

/** The keys that etcd signs its tokens with, in a folder of their own. */
export class JwtKeys implements Disposable {
  readonly #folder = mkdtempSync(join(tmpdir(), 'etcdkit-jwt-'))

  constructor() {
    this.replace()
  }

  /** Writes new keys to the same files, for members that start later. */
  replace(): void {
    const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
    writeFileSync(this.#file('public'), publicKey.export({ type: 'spki', format: 'pem' }))
    writeFileSync(this.#file('private'), privateKey.export({ type: 'pkcs1', format: 'pem' }), { mode: 0o600 })
  }

  /** The value of `--auth-token` for tokens that live this long. */
  flag(ttlSeconds: number): string {
    const keys = `pub-key=${this.#file('public')},priv-key=${this.#file('private')}`
    return `jwt,${keys},sign-method=RS256,ttl=${ttlSeconds}s`
  }

  [Symbol.dispose](): void {
    rmSync(this.#folder, { recursive: true, force: true })
  }

  #file(name: string): string {
    return join(this.#folder, `${name}.pem`)
  }
}
