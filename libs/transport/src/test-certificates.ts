import "reflect-metadata";
import { randomBytes, webcrypto } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  PemConverter,
  SubjectAlternativeNameExtension,
  X509CertificateGenerator,
} from "@peculiar/x509";

const ALGORITHM = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
const DAY_MS = 86_400_000;

export interface TestCertificate {
  /** PEM. */
  readonly cert: string;
  readonly key: string;
}

/** A certificate authority of one test. */
export interface TestAuthority {
  /** Its own certificate, PEM. */
  readonly cert: string;
  /** For a DNS name and 127.0.0.1, from a day ago until `validMs` from now. */
  issue(name: string, validMs?: number): Promise<TestCertificate>;
  /** The files of one service in `dir`, and the variables that name them. */
  install(dir: string, name: string, certificate: TestCertificate): Record<"MEMSEAL_TLS_CERT_FILE" | "MEMSEAL_TLS_KEY_FILE" | "MEMSEAL_TLS_CA_FILE", string>;
}

export async function createTestAuthority(): Promise<TestAuthority> {
  const caKeys = await newKeys();
  const validity = (validMs: number) => ({ notBefore: new Date(Date.now() - DAY_MS), notAfter: new Date(Date.now() + validMs) });
  const ca = await X509CertificateGenerator.createSelfSigned({
    name: "CN=Test authority",
    keys: caKeys,
    signingAlgorithm: ALGORITHM,
    serialNumber: newSerial(),
    ...validity(DAY_MS),
    extensions: [new BasicConstraintsExtension(true, 0, true), new KeyUsagesExtension(KeyUsageFlags.keyCertSign, true)],
  }, webcrypto);
  const cert = ca.toString("pem");
  return {
    cert,
    async issue(name, validMs = DAY_MS) {
      const keys = await newKeys();
      const issued = await X509CertificateGenerator.create({
        subject: `CN=${name}`,
        issuer: ca.subject,
        publicKey: keys.publicKey,
        signingKey: caKeys.privateKey,
        signingAlgorithm: ALGORITHM,
        serialNumber: newSerial(),
        ...validity(validMs),
        extensions: [
          new BasicConstraintsExtension(false),
          new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth, ExtendedKeyUsage.clientAuth]),
          new SubjectAlternativeNameExtension([{ type: "dns", value: name }, { type: "ip", value: "127.0.0.1" }]),
        ],
      }, webcrypto);
      return { cert: issued.toString("pem").trim(), key: PemConverter.encode(await webcrypto.subtle.exportKey("pkcs8", keys.privateKey), "PRIVATE KEY") };
    },
    install(dir, name, certificate) {
      const file = (kind: string, pem: string) => {
        const path = join(dir, `${name}.${kind}`);
        writeFileSync(path, pem, { mode: 0o600 });
        return path;
      };
      return { MEMSEAL_TLS_CERT_FILE: file("crt", certificate.cert), MEMSEAL_TLS_KEY_FILE: file("key", certificate.key), MEMSEAL_TLS_CA_FILE: file("ca", cert) };
    },
  };
}

function newKeys(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]);
}

/** Positive, as it must be. */
function newSerial(): string {
  return `01${randomBytes(8).toString("hex")}`;
}
