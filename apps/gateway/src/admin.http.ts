import { erasureReceiptToJson, eraseFromJson, listAuditFromQuery, listAuditResponseToJson } from "@memseal/contracts";
import { Body, Controller, Get, HttpCode, Param, Post, Query, Req, Res } from "@nestjs/common";
import type { FastifyReply, FastifyRequest } from "fastify";
import { HttpAdmission } from "./http-admission.js";
import { answerOf } from "./http-answer.js";
import { Memories } from "./memories.js";

/** What is about a user as a whole. */
@Controller("v1")
export class AdminHttp {
  constructor(
    private readonly admission: HttpAdmission,
    private readonly memories: Memories,
  ) {}

  @Get("audit")
  listAudit(@Req() request: FastifyRequest, @Res({ passthrough: true }) reply: FastifyReply, @Query() query: unknown): Promise<string> {
    return this.admission.admit("admin", request, reply, async (call) => listAuditResponseToJson(await this.memories.listAudit(call, listAuditFromQuery(query))));
  }

  @Post("erasures")
  @HttpCode(200)
  erase(@Req() request: FastifyRequest, @Res({ passthrough: true }) reply: FastifyReply, @Body() body: unknown): Promise<string> {
    return this.admission.admit("admin", request, reply, async (call) => erasureReceiptToJson(answerOf(await this.memories.erase(call, eraseFromJson(body)), reply)));
  }

  @Get("erasures/:id")
  getErasure(@Req() request: FastifyRequest, @Res({ passthrough: true }) reply: FastifyReply, @Param("id") id: string): Promise<string> {
    return this.admission.admit("admin", request, reply, async (call) => erasureReceiptToJson(await this.memories.getErasure(call, { id })));
  }
}
