import { createTokenFromJson, createTokenResponseToJson } from "@memseal/contracts";
import { Body, Controller, HttpCode, Post, Req, Res } from "@nestjs/common";
import type { FastifyReply, FastifyRequest } from "fastify";
import { CreateToken } from "./create-token.js";
import { HttpAdmission } from "./http-admission.js";

/** JSON in, a token out. */
@Controller("v1/tokens")
export class TokensHttp {
  constructor(
    private readonly admission: HttpAdmission,
    private readonly tokens: CreateToken,
  ) {}

  @Post()
  @HttpCode(201)
  create(@Req() request: FastifyRequest, @Res({ passthrough: true }) reply: FastifyReply, @Body() body: unknown): Promise<string> {
    return this.admission.exchange(request, reply, async (call) => createTokenResponseToJson(await this.tokens.create(call, createTokenFromJson(body))));
  }
}
