import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { Controller, Get, Header, Param, Res } from "@nestjs/common";
import { NotFoundError } from "@memseal/errors";
import type { FastifyReply } from "fastify";
import { openApiDocument } from "./openapi/document.js";

const require = createRequire(import.meta.url);
const { version } = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")) as { version: string };

const DOCUMENT = JSON.stringify(openApiDocument(version));

/** Paths in it are relative, so that it also works behind a prefix. */
const PAGE = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Memseal API</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="docs/assets/swagger-ui.css">
<div id="swagger-ui"></div>
<script src="docs/assets/swagger-ui-bundle.js"></script>
<script src="docs/assets/start.js"></script>
</html>
`;

const START = `SwaggerUIBundle({ url: "docs/openapi.json", dom_id: "#swagger-ui", deepLinking: true, defaultModelsExpandDepth: 0 });\n`;

const asset = (name: string): string => readFileSync(require.resolve(`swagger-ui-dist/${name}`), "utf8");

const ASSETS: Readonly<Record<string, { type: string; content: string }>> = {
  "swagger-ui.css": { type: "text/css; charset=utf-8", content: asset("swagger-ui.css") },
  "swagger-ui-bundle.js": { type: "text/javascript; charset=utf-8", content: asset("swagger-ui-bundle.js") },
  "start.js": { type: "text/javascript; charset=utf-8", content: START },
};

/** Everything from here, nothing from elsewhere, no script in the page; Swagger UI puts its icons into data URLs and styles into attributes. */
const CONTENT_SECURITY_POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/** The API's description, for programs and for people. */
@Controller("docs")
export class DocsHttp {
  @Get()
  @Header("content-type", "text/html; charset=utf-8")
  @Header("content-security-policy", CONTENT_SECURITY_POLICY)
  @Header("referrer-policy", "no-referrer")
  @Header("x-content-type-options", "nosniff")
  page(): string {
    return PAGE;
  }

  @Get("openapi.json")
  @Header("content-type", "application/json; charset=utf-8")
  document(): string {
    return DOCUMENT;
  }

  @Get("assets/:name")
  @Header("x-content-type-options", "nosniff")
  asset(@Param("name") name: string, @Res({ passthrough: true }) reply: FastifyReply): string {
    const found = Object.hasOwn(ASSETS, name) ? ASSETS[name] : undefined;
    if (found === undefined) throw new NotFoundError("route");
    void reply.type(found.type);
    return found.content;
  }
}
