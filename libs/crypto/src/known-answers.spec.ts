import { createSecretKey } from "node:crypto";
import { decrypt, encrypt } from "./aead.js";
import { OpenError } from "./errors.js";
import { hkdf } from "./hkdf.js";
import { SecretBytes } from "./secret-bytes.js";
import { userHash } from "./tenant.js";

const hex = (text: string) => Buffer.from(text, "hex");

/** Source: McGrew and Viega, "The Galois/Counter Mode of Operation (GCM)", appendix B, cases 13 to 16 (NIST's AES-256 vectors). */
const GCM = [
  { key: "00".repeat(32), nonce: "00".repeat(12), plaintext: "", aad: "", ciphertext: "", tag: "530f8afbc74536b9a963b4f1c4cb738b" },
  {
    key: "00".repeat(32), nonce: "00".repeat(12), plaintext: "00".repeat(16), aad: "",
    ciphertext: "cea7403d4d606b6e074ec5d3baf39d18", tag: "d0d1c8a799996bf0265b98b5d48ab919",
  },
  {
    key: "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308", nonce: "cafebabefacedbaddecaf888", aad: "",
    plaintext: "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b391aafd255",
    ciphertext: "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662898015ad",
    tag: "b094dac5d93471bdec1a502270e3cc6c",
  },
  {
    key: "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308", nonce: "cafebabefacedbaddecaf888",
    aad: "feedfacedeadbeeffeedfacedeadbeefabaddad2",
    plaintext: "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
    ciphertext: "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662",
    tag: "76fc6ece0f4e1768cddf8853bb2d551b",
  },
];

describe("known answers", () => {
  it.each(GCM)("encrypts and opens as NIST's AES-256-GCM vector with tag $tag", (vector) => {
    const key = createSecretKey(hex(vector.key));
    const [ciphertext, tag] = encrypt(key, hex(vector.nonce), hex(vector.aad), hex(vector.plaintext));
    expect(ciphertext.toString("hex")).toBe(vector.ciphertext);
    expect(tag.toString("hex")).toBe(vector.tag);
    expect(decrypt(key, hex(vector.nonce), hex(vector.aad), ciphertext, tag).toString("hex")).toBe(vector.plaintext);
  });

  it.each([4, 8, 12, 13, 14, 15])("refuses a tag cut to %i bytes, which Node would take", (length) => {
    const vector = GCM[3];
    const key = createSecretKey(hex(vector.key));
    expect(() => decrypt(key, hex(vector.nonce), hex(vector.aad), hex(vector.ciphertext), hex(vector.tag).subarray(0, length))).toThrow(OpenError);
  });

  it.each([
    { key: Buffer.alloc(20, 0x0b), data: "Hi There", mac: "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7" },
    { key: Buffer.from("Jefe"), data: "what do ya want for nothing?", mac: "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843" },
  ])("hashes user ids as RFC 4231's HMAC-SHA256 vector $mac", ({ key, data, mac }) => {
    expect(userHash(SecretBytes.of(key), data)).toBe(mac);
  });

  it("derives keys as RFC 5869's HKDF-SHA256 vector without salt and info", () => {
    expect(hkdf(Buffer.alloc(22, 0x0b), Buffer.alloc(0)).toString("hex")).toBe("8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d");
  });
});
