import { createPublicKey, sign, verify, type KeyObject } from "node:crypto";
import { z } from "zod";
import { EvidenceError } from "./evidence-error.js";
import { jsonOf } from "./json-of.js";
import { sha256 } from "./sha256.js";

/** A signed payload. Source: DSSE 1.0.2, https://github.com/secure-systems-lab/dsse, envelope.md. */
export type Envelope = z.infer<typeof ENVELOPE>;

/** Written in the one way there is: otherwise bits could be changed that nothing covers. */
const BASE64 = z.string().refine((text) => Buffer.from(text, "base64").toString("base64") === text);
const ENVELOPE = z.strictObject({
  payloadType: z.string(),
  payload: BASE64,
  signatures: z.tuple([z.strictObject({ keyid: z.string(), sig: BASE64 })]),
});

/** key: a private Ed25519 key. @throws EvidenceError for another kind of key */
export function signEnvelope(payloadType: string, payload: Buffer, key: KeyObject): Envelope {
  assertEd25519(key);
  return {
    payloadType,
    payload: payload.toString("base64"),
    signatures: [{ keyid: keyIdOf(createPublicKey(key)), sig: sign(null, preAuthEncoding(payloadType, payload), key).toString("base64") }],
  };
}

/**
 * The payload, once its signature is known to be of `publicKey`.
 * @throws EvidenceError unless it is an envelope of this type with one valid signature of this key
 */
export function openEnvelope(json: unknown, payloadType: string, publicKey: KeyObject): Buffer {
  assertEd25519(publicKey);
  const parsed = ENVELOPE.safeParse(json);
  if (!parsed.success) throw new EvidenceError("the signature is no DSSE envelope with one signature");
  const { payload, payloadType: type, signatures: [{ keyid, sig }] } = parsed.data;
  if (type !== payloadType) throw new EvidenceError(`the signature is of something else: its payload is no ${payloadType}`);
  const bytes = Buffer.from(payload, "base64");
  // The key id is not signed: it is compared so that it says nothing untrue, and decides nothing.
  if (!verify(null, preAuthEncoding(type, bytes), publicKey, Buffer.from(sig, "base64")) || keyid !== keyIdOf(publicKey)) {
    throw new EvidenceError(`the signature is not of the key ${keyIdOf(publicKey)}`);
  }
  return bytes;
}

/**
 * The payload of a signed file. name: as the file is told of.
 * @throws EvidenceError as openEnvelope does, and where it is not written as envelopeText writes it: nothing may stand in it that nobody signed
 */
export function openSignedText(text: string, name: string, payloadType: string, publicKey: KeyObject): Buffer {
  const envelope = jsonOf(text, name);
  const payload = openEnvelope(envelope, payloadType, publicKey);
  if (envelopeText(envelope as Envelope) !== text) throw new EvidenceError(`${name} is not as it was written`);
  return payload;
}

/** As it is written to a file, and must be found there. */
export function envelopeText(envelope: Envelope): string {
  return `${JSON.stringify(envelope, undefined, 2)}\n`;
}

/** SHA-256 of the key's SubjectPublicKeyInfo, in hex. */
export function keyIdOf(publicKey: KeyObject): string {
  return sha256(publicKey.export({ type: "spki", format: "der" }));
}

/** What is signed: neither type nor payload can be moved into the other. Source: DSSE, protocol.md, PAE. */
export function preAuthEncoding(payloadType: string, payload: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`DSSEv1 ${Buffer.byteLength(payloadType)} ${payloadType} ${payload.length} `), payload]);
}

function assertEd25519(key: KeyObject): void {
  if (key.asymmetricKeyType !== "ed25519") throw new EvidenceError("the key is no Ed25519 key");
}
