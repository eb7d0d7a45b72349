import { generateKeyPairSync } from "node:crypto";
import fc from "fast-check";
import { openEnvelope, preAuthEncoding, signEnvelope } from "./dsse.js";
import { EvidenceError } from "./evidence-error.js";

const ours = generateKeyPairSync("ed25519");

describe("DSSE envelope", () => {
  // https://github.com/secure-systems-lab/dsse/blob/v1.0.2/protocol.md, test vectors.
  it("encodes what is signed as the standard's example", () => {
    expect(preAuthEncoding("http://example.com/HelloWorld", Buffer.from("hello world")).toString()).toBe("DSSEv1 29 http://example.com/HelloWorld 11 hello world");
  });

  it("opens to its payload, and to nothing else than its type, key and one signature", () => {
    fc.assert(fc.property(fc.uint8Array(), (bytes) => {
      const payload = Buffer.from(bytes);
      const envelope = signEnvelope("a", payload, ours.privateKey);
      expect(openEnvelope(envelope, "a", ours.publicKey)).toEqual(payload);
      expect(() => openEnvelope(envelope, "b", ours.publicKey)).toThrow(EvidenceError);
      expect(() => openEnvelope({ ...envelope, payloadType: "b" }, "b", ours.publicKey)).toThrow(EvidenceError);
      expect(() => openEnvelope({ ...envelope, signatures: [] }, "a", ours.publicKey)).toThrow(EvidenceError);
      expect(() => openEnvelope({ ...envelope, signatures: [...envelope.signatures, ...envelope.signatures] }, "a", ours.publicKey)).toThrow(EvidenceError);
    }));
  });

  it("takes Ed25519 keys alone", () => {
    const other = generateKeyPairSync("ec", { namedCurve: "P-256" });
    expect(() => signEnvelope("a", Buffer.from("b"), other.privateKey)).toThrow("no Ed25519 key");
    expect(() => openEnvelope(signEnvelope("a", Buffer.from("b"), ours.privateKey), "a", other.publicKey)).toThrow("no Ed25519 key");
  });
});
