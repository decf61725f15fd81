import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Certificate, CertificateAuthority } from './certificates.js'
import type { EtcdClusterOptions, EtcdClusterTlsOptions } from './cluster-options.js'
import type { GatewayTls } from './gateway.js'
import type { EtcdFlags } from './member-flags.js'

/** A certificate and its private key, as PEM text and as files. */
export interface CertificateFiles extends Certificate {
  readonly certFile: string
  readonly keyFile: string
}

/** The certificates of one cluster: a new authority, one certificate for all members, and client certificates. */
export interface ClusterTls {
  /** Issues further certificates that the cluster's members and clients trust. */
  readonly authority: CertificateAuthority
  /** The authority's certificate, as PEM text and as a file. */
  readonly ca: string
  readonly caFile: string
  /** A client certificate without a user name, as PEM text and as files. */
  readonly cert: string
  readonly key: string
  readonly certFile: string
  readonly keyFile: string
  /** Issues a client certificate whose common name is the etcd user, with `clientCertAuth`. Replaces its earlier files. */
  clientCert(commonName: string): CertificateFiles
  /** Replaces the members' certificate and key on disk with new ones. Members use them for new connections. */
  renewServerCertificate(): void
}

/** The files that a client needs. */
export type ClientFiles = Pick<ClusterTls, 'caFile'> & Partial<Pick<ClusterTls, 'certFile' | 'keyFile'>>

/** Creates a cluster's certificates and writes them to a folder. */
export class ClusterCertificates implements ClusterTls {
  readonly authority: CertificateAuthority
  readonly ca: string
  readonly caFile: string
  readonly cert: string
  readonly key: string
  readonly certFile: string
  readonly keyFile: string
  readonly #folder: string
  readonly #options: EtcdClusterTlsOptions
  readonly #server: CertificateFiles

  constructor(folder: string, options: EtcdClusterTlsOptions) {
    mkdirSync(folder, { recursive: true })
    this.#folder = folder
    this.#options = options
    this.authority = this.#openAuthority()
    this.ca = this.authority.cert
    this.caFile = this.#write('ca.crt', this.ca)
    this.#server = this.#save('server', this.authority.issue(options.serverCertificate))
    const client = this.#save('client', this.authority.issue())
    this.certFile = client.certFile
    this.keyFile = client.keyFile
    this.cert = client.cert
    this.key = client.key
  }

  clientCert(commonName: string): CertificateFiles {
    return this.#save(`client-${encodeURIComponent(commonName)}`, this.authority.issue({ commonName }))
  }

  renewServerCertificate(): void {
    this.#save('server', this.authority.issue(this.#options.serverCertificate))
  }

  /** The etcd flags for these certificates. */
  memberFlags(): EtcdFlags {
    const { certFile, keyFile } = this.#server
    const flags = { 'cert-file': certFile, 'key-file': keyFile }
    return this.#options.clientCertAuth ? { ...flags, 'client-cert-auth': true, 'trusted-ca-file': this.caFile } : flags
  }

  /** The files that a client needs: with `clientCertAuth`, a certificate too. */
  clientFiles(): ClientFiles {
    const { caFile, certFile, keyFile } = this
    return this.#options.clientCertAuth ? { caFile, certFile, keyFile } : { caFile }
  }

  /** The TLS material of the harness's own calls. */
  gatewayTls(): GatewayTls {
    const verify = this.#options.serverCertificate === undefined
    return { ca: this.ca, cert: this.cert, key: this.key, verify }
  }

  /** The authority of the cluster that was kept in this folder, so that clients trust the next one too; or a new one. */
  #openAuthority(): CertificateAuthority {
    const [cert, key] = ['ca.crt', 'ca.key'].map((name) => join(this.#folder, name))
    if (cert !== undefined && key !== undefined && existsSync(key)) {
      return new CertificateAuthority(undefined, { cert: readFileSync(cert, 'utf8'), key: readFileSync(key, 'utf8') })
    }
    const authority = new CertificateAuthority()
    this.#write('ca.key', authority.key)
    return authority
  }

  #save(name: string, certificate: Certificate): CertificateFiles {
    return {
      ...certificate,
      certFile: this.#write(`${name}.crt`, certificate.cert),
      keyFile: this.#write(`${name}.key`, certificate.key),
    }
  }

  #write(name: string, text: string): string {
    const file = join(this.#folder, name)
    writeFileSync(file, text, { mode: 0o600 })
    return file
  }
}

/** The certificates of a cluster, if it uses TLS. */
export function createCertificates(folder: string, tls: EtcdClusterOptions['tls']): ClusterCertificates | undefined {
  return tls ? new ClusterCertificates(folder, tls === true ? {} : tls) : undefined
}
