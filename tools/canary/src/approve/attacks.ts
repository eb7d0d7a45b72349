import type { Suite } from "./suites.js";

/** Tests that attack a promise: each title is part of the full title of one test or more. */
export interface Attack {
  readonly suite: Suite;
  readonly titles: readonly string[];
}

export interface AttackedPromise {
  readonly promise: string;
  readonly attacks: readonly Attack[];
}

const unit = (project: string, spec: string, ...titles: string[]): Attack => ({ suite: { kind: "unit", project, spec }, titles });
const integration = (project: string, spec: string, ...titles: string[]): Attack => ({ suite: { kind: "integration", project, spec }, titles });
const e2e = (project: string, spec: string, ...titles: string[]): Attack => ({ suite: { kind: "e2e", project, spec }, titles });

/** Every attack on isolation and sealing whose feature is there. Source: docs/threat-model.md, which says of each what it shows. */
export const ATTACKS: readonly AttackedPromise[] = [
  {
    promise: "a sealed value opens in its own place alone",
    attacks: [
      unit("libs/crypto", "seal", "refuses a blob moved to another tenant", "refuses a blob moved to another row", "refuses a blob moved to another field", "refuses a blob of another row version", "refuses every blob at every place but its own", "refuses two blobs with their ciphertexts, nonces or tags exchanged"),
      e2e("apps/indexer", "indexer", "moved from one memory to another do not open"),
      integration("apps/indexer", "write-path", "and its answer say nothing to a thief of the database, and open in no other key's place"),
    ],
  },
  {
    promise: "a sealed value that was altered does not open, harms no other and is counted once",
    attacks: [
      unit("libs/crypto", "seal", "refuses every single flipped bit", "refuses every truncation and extension", "refuses format 0", "never repeats a nonce"),
      integration("apps/indexer", "integrity-failures", "takes that memory from a cold index, and no other", "takes that memory from a warm index's answers", "while the same memories are updated and deleted counts no damage"),
      e2e("apps/indexer", "indexer", "that do not open are left out, counted once, and harm no other"),
      e2e("apps/indexer", "security-counters", "counts a sealed row that does not open, once"),
    ],
  },
  {
    promise: "a tenant's keys open nothing of another's, and wrapped keys cannot be exchanged",
    attacks: [
      unit("libs/crypto", "seal", "refuses a blob sealed under a key it does not hold", "refuses a key that is no longer in the ring"),
      unit("libs/keys", "keys", "refuses a wrapped key moved to another tenant", "refuses a wrapped key moved to another version", "refuses a wrapped key moved to another purpose", "refuses a key that another root key wrapped", "refuses every flipped bit, and bytes too short or too long"),
      integration("libs/storage", "tenant-keys", "are another tenant's never", "by another tenant's key in their place opens nothing", "by the tenant's own key of another purpose opens nothing", "by the tenant's own key of another version opens nothing", "by a commitment of another key opens nothing", "by a key that is disabled opens nothing", "by a root key that is not the installation's is named, and opens nothing"),
    ],
  },
  {
    promise: "the stolen database, its log and its files show no text, label, vector or user id",
    attacks: [
      e2e("apps/indexer", "indexer", "hold no text, metadata, tag, source or vector in any encoding, nor does any file of the database"),
      e2e("apps/gateway", "leaks", "is in no table, and in no file of the database, its WAL and its log", "and the secrets of the services are in no file but their own"),
      e2e("apps/standalone", "standalone", "keeps user ids and texts out of every file it leaves behind"),
      integration("libs/storage", "embedded-postgres", "writes neither a statement nor a value of a row to its log", "keeps the statement that a crashed backend was running out of its log"),
    ],
  },
  {
    promise: "logs, metrics, traces and refusals show nothing that was said, by whom or with which key",
    attacks: [
      e2e("apps/gateway", "leaks", "is answered to its owner", "is in no refusal", "is in no line that any process wrote", "is in no metric of any process", "is in no span that any process sent"),
      unit("libs/telemetry", "logger", "takes no event and no field but those of its table", "redacts what a cast forced in", "keeps a driver's message, which may quote a row, out of the log"),
    ],
  },
  { promise: "an idle service holds nothing that was said", attacks: [e2e("apps/gateway", "leaks", "an idle service gateway", "an idle service indexer", "an idle service reranker")] },
  {
    promise: "row security shows no row of another tenant, by any of the eleven known traps",
    attacks: [
      integration("libs/storage", "rls", "that forgets its WHERE no foreign row", "the owner sees nothing, on any table, until FORCE is taken away", "when no tenant is set, on a connection fresh or used", "leaks to the next user of a connection, so no statement of a tenant can make one", "that leaked all the same is overruled in every transaction of a tenant", "forgets the tenant with the transaction", "a SET LOCAL outside of a transaction shows no row", "a tenant's work inside another's has its own transaction", "can name any tenant, and opens nothing of what comes back", "each unique key, foreign key and index begins with user_hash", "a generic plan reads the tenant anew at each execution", "refuses to write a row of another tenant, or to move one there", "touch no row by a foreign id or hash"),
      integration("libs/storage", "tenant-transaction", "a swallowed failure is no commit", "takes nothing but 64 hex digits for a tenant", "takes no COMMIT of its user's", "reads no row without the tenant beside it", "sends BEGIN and COMMIT of its own and no other", "interleaved tenants over 4 connections no foreign row"),
    ],
  },
  {
    promise: "where a wall between tenants falls, the third stops what comes back, and it is counted",
    attacks: [
      integration("libs/storage", "rls", "a role that bypasses policies would, and the third wall stops what comes back", "without a policy on a table the third wall stops what comes back", "a second permissive policy is OR-ed, and the third wall stops what comes back"),
      e2e("apps/indexer", "security-counters", "counts a row of another tenant that came back", "counts a statement that the database refuses", "counts nothing of ordinary use"),
    ],
  },
  {
    promise: "each database role can do what it must and nothing else, and no service starts on more",
    attacks: [
      integration("libs/storage", "roles", "are none of them superuser", "auth can execute the key lookup and nothing else", "auth is the only login role that can look keys up", "scheduler sees which tenants have work due, and nothing of what they hold", "app can neither empty nor change tables, nor rewrite what must only grow"),
      integration("libs/storage", "start-checks", "refuse a superuser and the owner of the tables", "refuse a second permissive policy, saying so", "refuse a unique key without the tenant, saying so", "refuse a schema that is too old"),
      e2e("apps/indexer", "indexer", "is refused when the app role is SUPERUSER", "is refused when the app role is BYPASSRLS"),
    ],
  },
  {
    promise: "a foreign id is as absent as one that never was, and no request names another user",
    attacks: [
      e2e("apps/indexer", "indexer", "cannot see, delete or tell apart each other's ids"),
      e2e("apps/gateway", "answers", "another user's memory is as absent as one that never was"),
      unit("apps/gateway", "authenticate", "is never to name another user, and naming itself changes nothing"),
      integration("apps/indexer", "delete-memories", "goes on from no cursor but its own user's, unaltered"),
      integration("apps/indexer", "audit-trail", "is listed page by page, to its own user alone, and names no actor or memory in the clear"),
    ],
  },
  {
    promise: "who writes rows of API keys gets no access, and what was done to keys cannot be hidden",
    attacks: [
      integration("libs/storage", "api-keys", "refuse a row whose user_hash was altered", "refuse a row whose scopes was altered", "refuse a row whose expires_at was altered", "refuse a secret that was put in another's place", "refuse a row that was moved or copied to another id", "refuse a key whose revocation was taken back", "refuse a row that nobody authenticated", "refuse every key under another root key", "shows an event that was altered", "shows an event that was left out"),
      e2e("apps/indexer", "indexer", "are named by no API key whose row was altered"),
      e2e("apps/indexer", "security-counters", "counts an API key whose row is altered", "counts an API key whose row is unauthenticated"),
    ],
  },
  {
    promise: "credentials that are guessed, forged, revoked or another's are refused",
    attacks: [
      unit("apps/gateway", "authenticate", "refuses a known key id with another secret, also after the right one was seen", "remembers a key it found, and never one it did not", "works for no longer than 30 s after it was revoked", "is asked about few of the keys that one address guesses at once", "of another installation makes tokens that are worth nothing here"),
      unit("libs/auth", "jwt", "is refused with alg none, with an HMAC under a public key", "is refused when it brings its own key", "is never of the namespace of another issuer"),
      unit("libs/auth", "user-tokens", "is no assertion, and an assertion no user token, though one key signs both", "counts at every gateway that has the signer's public key, and at no other"),
      e2e("apps/gateway", "identity", "refuses each JWT that is not exactly its issuer's for this service", "a delegate key reads, writes and erases nothing", "a token reads and writes one user, as far as it may, and makes no tokens", "the same user id of two issuers, a delegate and a key never meets", "takes no assertion for a token", "learns whose a call is from the credential, and from nothing else that is sent", "two authorizations are refused, whichever of them is good", "two authorizations over gRPC are refused", "a key that was revoked before is refused"),
    ],
  },
  {
    promise: "every call between services carries whose it is, signed, for its class of call alone",
    attacks: [
      e2e("apps/indexer", "indexer", "need an assertion for exactly the class of call, on every call but ResolveKey"),
      e2e("apps/indexer", "security-counters", "counts an assertion that does not hold"),
      unit("libs/auth", "auth", "is refused for another method class, when changed, when absent", "is refused from a gateway whose key is unknown", "that was found good is refused for another method class all the same"),
    ],
  },
  {
    promise: "no handler serves a call that does not say whose it is",
    attacks: [unit("libs/transport", "tenant.guard", "refuses a handler that declares nothing", "refuses a call without an assertion, of another class, or without the scope")],
  },
  {
    promise: "private hops are under mutual TLS, or do not start where others can listen",
    attacks: [
      e2e("apps/gateway", "tls", "an attack on the indexer with no certificate", "an attack on the reranker with no certificate", "nothing is plaintext: neither face of the gateway, nor a service, nor its metrics", "a gateway does not speak to services whose certificate is a foreign CA's", "refuses to start in one line, for listeners and for services looked for elsewhere"),
      unit("libs/transport", "transport-security", "takes calls from certificates of its CA, and no others", "takes calls from the names that may call", "is called only while its certificate is of the caller's CA"),
    ],
  },
  {
    promise: "the audit trail shows what was altered, left out, moved or put between",
    attacks: [integration("apps/indexer", "audit-trail", "shows an event that was altered, left out, moved or put between, to whoever has the reference key", "is one chain, however many indexers write at once")],
  },
  {
    promise: "what was erased or deleted opens no more",
    attacks: [
      integration("apps/indexer", "erase-tenant", "opens in no table, to text, words, metadata or vector, with the tenant's own keys", "destroys the keys at once: nothing is found, read, listed or written by any indexer, warm or cold", "leaves of its receipt no key's name"),
      integration("libs/storage", "tenant-keys", "ends the use of keys in every process at its next call, and of whoever still holds them"),
    ],
  },
  {
    promise: "a root key version that was destroyed opens nothing, and wraps nothing any more",
    attacks: [
      integration("libs/storage", "root-key-store", "is refused while a living tenant's key is wrapped by it", "leaves a restored key that it had wrapped unopened, to every process", "lets no process wrap by it any more, also one that was about to when it was destroyed", "authenticates API keys and their chain under the new version, and what was altered under none"),
    ],
  },
  {
    promise: "the receipt of an erasure is one user's, and cannot be forged or say too much",
    attacks: [
      integration("apps/indexer", "erasure-receipts", "is signed for its tenant, outlives the keys and the rows, and is no other tenant's", "does not call a version destroyed that this process holds"),
      e2e("apps/gateway", "receipts", "that was altered, or that another key signed, is refused", "is another user's never: not to read, and not to verify as one's own"),
    ],
  },
  {
    promise: "no tenant takes another's turn at the database",
    attacks: [integration("libs/storage", "connection-shares", "another's are answered at once, and its own wait for half of the connections", "and of three more that do the same, another's are still answered at once")],
  },
  {
    promise: "no service starts on a secret that is missing, short, readable by others, published or another's",
    attacks: [
      unit("libs/keys", "keys", "refuse to start when one is missing, and make no new one in its place", "are never made anew beside data that needs the old ones", "refuse to start when one is short", "refuse to start when two are equal", "refuse to start when others may read one", "refuse a file of"),
      e2e("apps/standalone", "standalone", "refuses to start without one of its secrets, naming the file, and makes no new one", "refuses a key that was made with other secrets"),
    ],
  },
];
