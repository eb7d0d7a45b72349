import { createServer as createHttpServer, type RequestListener, type Server as HttpServer } from "node:http";
import { createServer as createHttpsServer } from "node:https";
import { isIP } from "node:net";
import { checkServerIdentity, type SecureContextOptions, type Server as TlsServer } from "node:tls";
import { credentials, experimental, ServerCredentials, type ChannelCredentials, type ChannelOptions } from "@grpc/grpc-js";
import { isLoopback, parseHostAndPort } from "@memseal/config";
import { StartupError } from "@memseal/errors";
import type { Logger } from "@memseal/telemetry";
import { CertificateFiles } from "./certificate-files.js";

export interface SecuritySpec {
  /** PEM files; none at all: plaintext. */
  cert: string | undefined;
  key: string | undefined;
  /** The CA of the peers. With it both ends show a certificate, without it the server alone. */
  ca?: string | undefined;
  isMutual: boolean;
  /** The variables that name the files, for messages. */
  variables: readonly string[];
  /** Plaintext also where other machines can listen. */
  allowPlaintext: boolean;
}

/** What a `transportVariables` schema gives. */
export interface TransportVariables {
  MEMSEAL_TLS_CERT_FILE?: string | undefined;
  MEMSEAL_TLS_KEY_FILE?: string | undefined;
  MEMSEAL_TLS_CA_FILE?: string | undefined;
  MEMSEAL_ALLOW_PLAINTEXT: boolean;
}

/**
 * How the connections of one side of a process are made: under TLS where it has certificates, in plaintext on this machine
 * alone unless that is allowed. Unix sockets are always plaintext: their folder's mode says who may connect.
 */
export class TransportSecurity {
  /** Plaintext, on this machine alone. */
  static readonly LOOPBACK = new TransportSecurity(undefined, { isMutual: false, allowPlaintext: false, variables: ["MEMSEAL_TLS_CERT_FILE", "MEMSEAL_TLS_KEY_FILE"] });

  private constructor(
    private readonly files: CertificateFiles | undefined,
    private readonly spec: Pick<SecuritySpec, "isMutual" | "variables" | "allowPlaintext">,
  ) {}

  /** @throws StartupError when only some files are named, or one cannot be used */
  static open({ cert, key, ca, ...spec }: SecuritySpec, log: Logger): TransportSecurity {
    const named = [cert, key, ca].filter((file) => file !== undefined);
    if (named.length === 0) return new TransportSecurity(undefined, spec);
    if (cert === undefined || key === undefined || named.length < spec.variables.length) throw new StartupError(`${listed(spec.variables)} go together: set all of them, or none`);
    return new TransportSecurity(CertificateFiles.open({ cert, key, ca }, log), spec);
  }

  /** Of private hops: both ends show a certificate of one CA. @throws StartupError as `open` */
  static openPrivate(config: TransportVariables, log: Logger): TransportSecurity {
    const { MEMSEAL_TLS_CERT_FILE: cert, MEMSEAL_TLS_KEY_FILE: key, MEMSEAL_TLS_CA_FILE: ca, MEMSEAL_ALLOW_PLAINTEXT: allowPlaintext } = config;
    return TransportSecurity.open({ cert, key, ca, isMutual: true, variables: ["MEMSEAL_TLS_CERT_FILE", "MEMSEAL_TLS_KEY_FILE", "MEMSEAL_TLS_CA_FILE"], allowPlaintext }, log);
  }

  /** For a gRPC server at `address`. @throws StartupError for plaintext that is not allowed */
  serverCredentials(address: string): ServerCredentials {
    const files = this.#filesFor(address);
    if (files === undefined) return ServerCredentials.createInsecure();
    return experimental.createCertificateProviderServerCredentials(files, this.spec.isMutual ? files : null, this.spec.isMutual);
  }

  /**
   * For a channel to `address`, whose certificate must be for `name`: that of the address, unless an address was looked up
   * from a name. @throws StartupError for plaintext that is not allowed
   */
  channel(address: string, name = parseHostAndPort(address)?.host ?? ""): { credentials: ChannelCredentials; options: ChannelOptions } {
    const files = this.#filesFor(address);
    // Unix sockets have no host name; without one of its own grpc-js sends the path as :authority.
    if (files === undefined) return { credentials: credentials.createInsecure(), options: address.startsWith("unix:") ? { "grpc.default_authority": "localhost" } : {} };
    const isIp = isIP(name) !== 0;
    return {
      credentials: experimental.createCertificateProviderChannelCredentials(files, this.spec.isMutual ? files : null, {
        checkServerIdentity: (_asked, certificate) => checkServerIdentity(name, certificate),
      }),
      // TLS has no server name indication for IP addresses, and Node warns of one that is sent.
      options: { "grpc.ssl_target_name_override": isIp ? "memseal" : name, "grpc.default_authority": isIp ? "memseal" : name },
    };
  }

  /** Options of Node's own TLS server at `address`; undefined where it is plaintext. @throws StartupError for plaintext that is not allowed */
  httpsOptions(address: string): (SecureContextOptions & { requestCert: boolean; rejectUnauthorized: boolean }) | undefined {
    const files = this.#filesFor(address);
    return files && { ...files.context, requestCert: this.spec.isMutual, rejectUnauthorized: this.spec.isMutual };
  }

  /** Gives a server that was made with `httpsOptions` what is new. */
  keepCurrent(server: TlsServer): void {
    this.files?.onChange((context) => { server.setSecureContext(context); });
  }

  /** An HTTP server for `address`. @throws StartupError for plaintext that is not allowed */
  httpServer(address: string): (listener: RequestListener) => HttpServer {
    const options = this.httpsOptions(address);
    if (options === undefined) return createHttpServer;
    return (listener) => {
      const server = createHttpsServer(options, listener);
      this.keepCurrent(server);
      return server;
    };
  }

  /** Whether connections to `address` show certificates. */
  isUnderTls(address: string): boolean {
    return this.files !== undefined && !address.startsWith("unix:");
  }

  close(): void {
    this.files?.close();
  }

  #filesFor(address: string): CertificateFiles | undefined {
    if (this.isUnderTls(address)) return this.files;
    if (!isLoopback(address) && !this.spec.allowPlaintext) {
      throw new StartupError(
        `${address} would be plaintext where other machines can listen: set ${listed(this.spec.variables)}, use an address of this machine, ` +
          "or set MEMSEAL_ALLOW_PLAINTEXT=true where TLS ends in front of it",
      );
    }
    return undefined;
  }
}

function listed(names: readonly string[]): string {
  return `${names.slice(0, -1).join(", ")} and ${names.at(-1)}`;
}
