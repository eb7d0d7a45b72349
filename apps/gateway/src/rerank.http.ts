import { rerankFromJson, rerankResponseToJson } from "@memseal/contracts";
import { Body, Controller, HttpCode, Post, Req, Res } from "@nestjs/common";
import type { FastifyReply, FastifyRequest } from "fastify";
import { HttpAdmission } from "./http-admission.js";
import { Memories } from "./memories.js";

/** Documents in, their order out, at the paths of both versions of Cohere's API; Jina and others have the first. */
@Controller(["v1/rerank", "v2/rerank"])
export class RerankHttp {
  constructor(
    private readonly admission: HttpAdmission,
    private readonly memories: Memories,
  ) {}

  @Post()
  @HttpCode(200)
  rerank(@Req() request: FastifyRequest, @Res({ passthrough: true }) reply: FastifyReply, @Body() body: unknown): Promise<string> {
    return this.admission.admit("rerank", request, reply, async (call) => rerankResponseToJson(await this.memories.rerank(call, rerankFromJson(body))));
  }
}
