import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import { createSecureContext, type SecureContextOptions } from "node:tls";
import type { experimental } from "@grpc/grpc-js";
import { StartupError, toAppError } from "@memseal/errors";
import type { Logger } from "@memseal/telemetry";

/** Three small files are read that often. Watching them instead would miss what a mounted secret does: a link that moves. */
const RELOAD_INTERVAL_MS = 1_000;

/** PEM files. */
export interface CertificatePaths {
  /** The certificate, first, and what is between it and the CA. */
  cert: string;
  key: string;
  /** Whose certificates peers must have; none where peers show none. */
  ca?: string | undefined;
}

interface Pem {
  cert: Buffer;
  key: Buffer;
  ca: Buffer | undefined;
}

/**
 * A certificate with its key and the CA of its peers, read again whenever the files change: new connections have what is
 * new. Files that do not fit together (one of two was replaced, say) or cannot be used leave what was there before.
 */
export class CertificateFiles implements experimental.CertificateProvider {
  readonly #caListeners = new Set<experimental.CaCertificateUpdateListener>();
  readonly #identityListeners = new Set<experimental.IdentityCertificateUpdateListener>();
  readonly #contextListeners = new Set<(context: SecureContextOptions) => void>();
  readonly #timer: NodeJS.Timeout;
  /** What was read last, good or not: the same again is no news. */
  #seen: string;

  private constructor(
    private readonly paths: CertificatePaths,
    private readonly log: Logger,
    private current: Pem,
  ) {
    this.#seen = textOf(current);
    this.#timer = setInterval(() => { this.#reload(); }, RELOAD_INTERVAL_MS).unref();
  }

  /** @throws StartupError when a file cannot be used */
  static open(paths: CertificatePaths, log: Logger): CertificateFiles {
    const pem = read(paths);
    assertUsable(pem, paths);
    return new CertificateFiles(paths, log, pem);
  }

  /** For a server of ours or of Node's. */
  get context(): SecureContextOptions {
    return { ...this.current };
  }

  /** Told of each change. */
  onChange(listener: (context: SecureContextOptions) => void): void {
    this.#contextListeners.add(listener);
  }

  addCaCertificateListener(listener: experimental.CaCertificateUpdateListener): void {
    this.#caListeners.add(listener);
    // Later: grpc-js takes no notice of what it is told while it listens.
    process.nextTick(() => { listener(this.#caUpdate()); });
  }

  removeCaCertificateListener(listener: experimental.CaCertificateUpdateListener): void {
    this.#caListeners.delete(listener);
  }

  addIdentityCertificateListener(listener: experimental.IdentityCertificateUpdateListener): void {
    this.#identityListeners.add(listener);
    process.nextTick(() => { listener(this.#identityUpdate()); });
  }

  removeIdentityCertificateListener(listener: experimental.IdentityCertificateUpdateListener): void {
    this.#identityListeners.delete(listener);
  }

  close(): void {
    clearInterval(this.#timer);
  }

  #reload(): void {
    let seen: string | undefined;
    try {
      const pem = read(this.paths);
      seen = textOf(pem);
      if (seen === this.#seen) return;
      assertUsable(pem, this.paths);
      this.current = pem;
    } catch (error) {
      // Each fault is said once.
      const reason = toAppError(error).message;
      if ((seen ?? reason) !== this.#seen) this.log.error("certificates not usable", { reason, error });
      this.#seen = seen ?? reason;
      return;
    }
    this.#seen = seen;
    for (const listener of this.#identityListeners) listener(this.#identityUpdate());
    for (const listener of this.#caListeners) listener(this.#caUpdate());
    for (const listener of this.#contextListeners) listener(this.context);
    this.log.info("certificates reloaded", {});
  }

  #identityUpdate(): experimental.IdentityCertificateUpdate {
    return { certificate: this.current.cert, privateKey: this.current.key };
  }

  #caUpdate(): experimental.CaCertificateUpdate | null {
    return this.current.ca === undefined ? null : { caCertificate: this.current.ca };
  }
}

function read({ cert, key, ca }: CertificatePaths): Pem {
  return { cert: readFile(cert), key: readFile(key), ca: ca === undefined ? undefined : readFile(ca) };
}

function readFile(file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (cause) {
    throw new StartupError(`certificate or key file ${file} cannot be read`, { cause });
  }
}

function textOf({ cert, key, ca }: Pem): string {
  return Buffer.concat([cert, key, ca ?? Buffer.alloc(0)]).toString("latin1");
}

/** @throws StartupError */
function assertUsable(pem: Pem, { cert, key, ca }: CertificatePaths): void {
  const certificate = parsed(cert, "certificate", () => new X509Certificate(pem.cert));
  const privateKey = parsed(key, "private key", () => createPrivateKey(pem.key));
  if ((statSync(key).mode & 0o007) !== 0) throw new StartupError(`key file ${key} is open to every user of this machine: chmod 600 it`);
  if (!certificate.checkPrivateKey(privateKey)) throw new StartupError(`certificate file ${cert} and key file ${key} do not belong together`);
  if (Date.parse(certificate.validTo) <= Date.now()) throw new StartupError(`the certificate in ${cert} has expired (${certificate.validTo})`);
  const { ca: caPem } = pem;
  if (ca !== undefined && caPem !== undefined) parsed(ca, "certificate", () => new X509Certificate(caPem));
  parsed(cert, "certificate", () => createSecureContext({ ...pem }));
}

function parsed<T>(file: string, what: string, parse: () => T): T {
  try {
    return parse();
  } catch (cause) {
    throw new StartupError(`file ${file} holds no ${what} in PEM that can be used`, { cause });
  }
}
