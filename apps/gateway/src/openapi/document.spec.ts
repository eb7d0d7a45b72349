import { generateKeyPairSync, randomBytes } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fromBinary } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { parseConfig } from "@memseal/config";
import * as contracts from "@memseal/contracts";
import { Logger } from "@memseal/telemetry";
import { HttpErrorFilter, TransportSecurity } from "@memseal/transport";
import type { NestApplicationOptions } from "@nestjs/common";
import { NestFactory } from "@nestjs/core";
import type { NestFastifyApplication } from "@nestjs/platform-fastify";
import { Validator } from "@seriousme/openapi-schema-validator";
import { Ajv2020 } from "ajv/dist/2020.js";
import addFormats from "ajv-formats";
import { gatewayConfig } from "../config.js";
import { Drain } from "../drain.js";
import { GatewayMetrics } from "../gateway-metrics.js";
import { GatewayModule } from "../gateway.module.js";
import { createHttpServer, prepareHttpServer } from "../http-server.js";
import { openApiDocument } from "./document.js";
import { ANSWER_EXAMPLES, REQUEST_EXAMPLES } from "./examples.js";
import { OPERATIONS } from "./operations.js";
import { ref, type Schema } from "./schema.js";

const ID = "01890a5d-ac96-774b-bcce-b302099a8057";
const document = openApiDocument("0.1.0");

const ajv = new Ajv2020({ strict: true, strictRequired: false, allowUnionTypes: true, allErrors: true });
addFormats.default(ajv);
ajv.addVocabulary(["components"]);
ajv.addSchema({ $id: "openapi", components: document["components"] });

/** What is wrong with `value`; undefined where nothing is. */
function faultsOf(schema: string, value: unknown): unknown {
  ajv.validate({ $ref: `openapi${ref(schema)["$ref"] as string}` }, value);
  return ajv.errors ?? undefined;
}

const SCHEMAS = (document["components"] as { schemas: Record<string, Schema> }).schemas;

/** Of a message of the public contract. */
function fieldsOf(message: string): string[] {
  const files = contracts.FILE_DESCRIPTORS.map((bytes) => fromBinary(FileDescriptorProtoSchema, Buffer.from(bytes, "base64")));
  const file = files.find((one) => one.package === contracts.MEMORY_PACKAGE);
  return file?.messageType.find(({ name }) => name === message)?.field.map(({ name }) => name) ?? [];
}

/** From a body, as a caller sends it, to what the service acts on. */
const PARSE: Record<keyof typeof REQUEST_EXAMPLES, { schema: string; parse: (body: unknown) => unknown }> = {
  add: { schema: "AddRequest", parse: (body) => contracts.parseAdd(contracts.addFromJson(body)) },
  search: { schema: "SearchRequest", parse: (body) => contracts.parseSearch(contracts.searchFromJson(body)) },
  searchStream: { schema: "SearchRequest", parse: (body) => contracts.parseSearch(contracts.searchFromJson(body)) },
  update: { schema: "UpdateRequest", parse: (body) => contracts.parseUpdate(contracts.updateFromJson(body, { id: ID, ifMatch: undefined })) },
  listByBody: { schema: "ListRequest", parse: (body) => contracts.parseList(contracts.listFromJson(body)) },
  deleteMany: { schema: "DeleteManyRequest", parse: (body) => contracts.parseDeleteMany(contracts.deleteManyFromJson(body)) },
  rerank: { schema: "RerankRequest", parse: (body) => contracts.parseRerank(contracts.rerankFromJson(body)) },
  createToken: { schema: "CreateTokenRequest", parse: (body) => contracts.parseCreateToken(contracts.createTokenFromJson(body)) },
  erase: { schema: "EraseRequest", parse: (body) => contracts.parseErase(contracts.eraseFromJson(body)) },
};

describe("the OpenAPI document", () => {
  it("is valid OpenAPI 3.1", async () => {
    const validator = new Validator();
    expect(await validator.validate(JSON.parse(JSON.stringify(document)) as Record<string, unknown>)).toEqual({ valid: true });
    expect(validator.version).toBe("3.1");
  });

  it.each(Object.entries(REQUEST_EXAMPLES).flatMap(([operation, examples]) => Object.entries(examples).map(([name, body]) => [operation, name, body as unknown] as const)))(
    "shows a request of %s (%s) that its schema describes and the service takes",
    (operation, _name, body) => {
      const { schema, parse } = PARSE[operation as keyof typeof PARSE];
      expect(faultsOf(schema, body)).toBeUndefined();
      expect(() => parse(body)).not.toThrow();
    },
  );

  it.each<[string, unknown]>([
    ["AddResponse", ANSWER_EXAMPLES.add],
    ["SearchAnswer", ANSWER_EXAMPLES.search],
    ...ANSWER_EXAMPLES.searchStream.map(([event, data]): [string, unknown] => ["SearchEvents", { [event]: data }]),
    ["ListResponse", ANSWER_EXAMPLES.list],
    ["Memory", ANSWER_EXAMPLES.get],
    ["Memory", ANSWER_EXAMPLES.update],
    ["HistoryResponse", ANSWER_EXAMPLES.history],
    ["DeleteResponse", ANSWER_EXAMPLES.delete],
    ["RerankResponse", ANSWER_EXAMPLES.rerank],
    ["CreateTokenResponse", ANSWER_EXAMPLES.createToken],
    ["ListAuditResponse", ANSWER_EXAMPLES.listAudit],
    ["ErasureReceipt", ANSWER_EXAMPLES.erase],
    ["ErasureReceipt", ANSWER_EXAMPLES.getErasure],
    ["KeySet", ANSWER_EXAMPLES.receiptKeys],
  ])("shows an answer that its schema describes: %s", (schema, answer) => {
    expect(faultsOf(schema, answer)).toBeUndefined();
  });

  it.each<[string, string, unknown]>([
    ["an unknown field", "SearchRequest", { query: "q", colour: "red" }],
    ["an unknown field in a memory", "AddRequest", { memories: [{ text: "a", colour: "red" }] }],
    ["a text that is too long", "AddRequest", { memories: [{ text: "😀".repeat(contracts.LIMITS.textCharacters + 1) }] }],
    ["memories and messages", "AddRequest", { memories: [{ text: "a" }], messages: [{ role: "a", content: "a" }], run_id: "r" }],
    ["NUL", "AddRequest", { memories: [{ text: "a\0" }] }],
    ["a blank query", "SearchRequest", { query: " \n" }],
    ["words alone with a bound on similarity", "SearchRequest", { query: "q", mode: "lexical", threshold: 0 }],
    ["an unknown operator", "SearchRequest", { query: "q", filters: { source: { regex: "x" } } }],
    ["a list of tags for one", "SearchRequest", { query: "q", filters: { tags: "x" } }],
    ["a null that no patch takes", "UpdateRequest", { text: null }],
    ["two selections", "DeleteManyRequest", { all: true, key: "k" }],
    ["no selection", "DeleteManyRequest", { dry_run: true }],
  ])("describes neither what the service refuses: %s", (_what, schema, body) => {
    expect(faultsOf(schema, body)).toBeDefined();
    expect(() => Object.values(PARSE).find((one) => one.schema === schema)?.parse(body)).toThrow();
  });

  it("takes the longest text, in code points", () => {
    expect(faultsOf("AddRequest", { memories: [{ text: "😀".repeat(contracts.LIMITS.textCharacters) }] })).toBeUndefined();
  });

  it.each<[schemas: string, message: string, besides: string[]]>([
    ["NewMemory", "NewMemory", []],
    ["Message", "Message", []],
    ["AddMemories,AddMessages", "AddRequest", []],
    ["SearchRequest", "SearchRequest", []],
    ["Decay", "Decay", []],
    ["ListRequest", "ListRequest", []],
    // In the path, in a header, and as null.
    ["UpdateRequest", "UpdateRequest", ["id", "if_match", "clear"]],
    ["DeleteManyRequest", "DeleteManyRequest", []],
    ["RerankRequest", "RerankRequest", []],
    ["CreateTokenRequest", "CreateTokenRequest", []],
    ["EraseRequest", "EraseRequest", []],
    ...[
      "Memory", "AddedMemory", "AddResponse", "ListResponse", "MemoryVersion", "HistoryResponse", "DeleteResponse", "Passage", "Scores", "SearchResult", "LatencyMs", "SearchAnswer",
      "RankedMemory", "Reranked", "RerankedDocument", "RerankResponse", "CreateTokenResponse", "AuditEvent", "ListAuditResponse", "ErasureReceipt", "RootKeyVersion",
    ].map((name): [string, string, string[]] => [name, name, []]),
  ])("names the fields of the .proto file: %s", (schemas, message, besides) => {
    const described = schemas.split(",").flatMap((name) => Object.keys(SCHEMAS[name]?.["properties"] ?? {}));
    expect([...new Set([...described, ...besides])].sort()).toEqual(fieldsOf(message).sort());
  });

  it("has every route that the gateway serves, and no other", async () => {
    const described = OPERATIONS.map(({ verb, path }) => `${verb.toUpperCase()} ${path}`);
    expect(described.sort()).toEqual((await servedRoutes()).sort());
  });
});

/** As Fastify has them, in the notation of OpenAPI; HEAD comes with every GET. */
async function servedRoutes(): Promise<string[]> {
  const dir = mkdtempSync(join(tmpdir(), "memseal-routes-"));
  const file = (name: string, content: string | Buffer) => {
    writeFileSync(join(dir, name), content, { mode: 0o600 });
    return join(dir, name);
  };
  try {
    const config = parseConfig(gatewayConfig, {
      MEMSEAL_INDEXER_ADDRESS: "127.0.0.1:1",
      MEMSEAL_RERANKER_ADDRESS: "127.0.0.1:1",
      MEMSEAL_TENANT_SECRET_FILE: file("tenant.secret", randomBytes(32)),
      MEMSEAL_PEPPER_FILE: file("api-key.pepper", randomBytes(32)),
      MEMSEAL_ASSERTION_KEY_FILE: file("assertion.pem", generateKeyPairSync("ed25519").privateKey.export({ type: "pkcs8", format: "pem" })),
    });
    const log = new Logger("gateway");
    const errors = new HttpErrorFilter(log);
    const adapter = createHttpServer(errors, { receiveTimeoutMs: 1_000 });
    const routes: string[] = [];
    adapter.getInstance().addHook("onRoute", ({ method, url }) => {
      for (const one of [method].flat()) routes.push(`${one} ${url.replace(/:(\w+)/g, "{$1}")}`);
    });
    const options: Readonly<NestApplicationOptions> = { logger: false, bodyParser: false };
    const app = await NestFactory.create<NestFastifyApplication>(GatewayModule.create(config, TransportSecurity.LOOPBACK, log), adapter, options);
    prepareHttpServer(adapter, app.get(GatewayMetrics), app.get(Drain));
    await app.init();
    await app.close();
    return routes.filter((route) => !route.startsWith("HEAD "));
  } finally {
    rmSync(dir, { recursive: true });
  }
}
