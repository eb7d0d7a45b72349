import {
  addFromJson,
  addResponseToJson,
  deleteResponseToJson,
  listFromQuery,
  listResponseToJson,
  memoryToJson,
  searchAnswerToJson,
  searchFromJson,
} from "@memseal/contracts";
import type { Scope } from "@memseal/auth";
import { TIMEOUT_KEY } from "@memseal/resilience";
import { Body, Controller, Delete, Get, HttpCode, Param, Post, Query, Req, Res } from "@nestjs/common";
import type { FastifyReply, FastifyRequest } from "fastify";
import { Admission } from "./admission.js";
import type { TenantCall } from "./call.js";
import { Memories } from "./memories.js";
import { refuseUnservedHeaders } from "./not-served-yet.js";

/** JSON in, messages on, JSON out. */
@Controller("v1/memories")
export class MemoriesHttp {
  constructor(
    private readonly admission: Admission,
    private readonly memories: Memories,
  ) {}

  @Post()
  @HttpCode(201)
  add(@Req() request: FastifyRequest, @Res({ passthrough: true }) reply: FastifyReply, @Body() body: unknown): Promise<object> {
    return this.#admit("write", request, reply, async (call) => addResponseToJson(await this.memories.add(call, addFromJson(body))));
  }

  @Post("search")
  @HttpCode(200)
  search(@Req() request: FastifyRequest, @Res({ passthrough: true }) reply: FastifyReply, @Body() body: unknown): Promise<object> {
    return this.#admit("read", request, reply, async (call) => searchAnswerToJson(await this.memories.search(call, searchFromJson(body))));
  }

  @Get()
  list(@Req() request: FastifyRequest, @Res({ passthrough: true }) reply: FastifyReply, @Query() query: unknown): Promise<object> {
    return this.#admit("read", request, reply, async (call) => listResponseToJson(await this.memories.list(call, listFromQuery(query))));
  }

  @Get(":id")
  get(@Req() request: FastifyRequest, @Res({ passthrough: true }) reply: FastifyReply, @Param("id") id: string): Promise<object> {
    return this.#admit("read", request, reply, async (call) => memoryToJson(await this.memories.get(call, { id })));
  }

  @Delete(":id")
  delete(@Req() request: FastifyRequest, @Res({ passthrough: true }) reply: FastifyReply, @Param("id") id: string): Promise<object> {
    return this.#admit("write", request, reply, async (call) => deleteResponseToJson(await this.memories.delete(call, { id })));
  }

  #admit(scope: Scope, request: FastifyRequest, reply: FastifyReply, work: (call: TenantCall) => Promise<object>): Promise<object> {
    const timeout = request.headers[TIMEOUT_KEY];
    return this.admission.admit(
      {
        requestId: request.id,
        authorization: request.headers.authorization,
        timeout: Array.isArray(timeout) ? timeout.join() : timeout,
        deadlineMs: Infinity,
        signal: departureOf(reply),
      },
      scope,
      (call) => {
        refuseUnservedHeaders((name) => request.headers[name]);
        return work(call);
      },
    );
  }
}

/** Aborts when the connection closes before the answer is sent. */
function departureOf(reply: FastifyReply): AbortSignal {
  const controller = new AbortController();
  reply.raw.once("close", () => {
    if (!reply.raw.writableFinished) controller.abort();
  });
  return controller.signal;
}
