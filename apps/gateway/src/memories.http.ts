import {
  addFromJson,
  addResponseToJson,
  deleteFromPath,
  deleteManyFromJson,
  deleteResponseToJson,
  historyResponseToJson,
  listFromJson,
  listFromQuery,
  listResponseToJson,
  searchAnswerToJson,
  searchEventToJson,
  searchFromJson,
  updateFromJson,
} from "@memseal/contracts";
import { HttpErrorFilter } from "@memseal/transport";
import { Body, Controller, Delete, Get, HttpCode, Param, Patch, Post, Query, Req, Res } from "@nestjs/common";
import type { FastifyReply, FastifyRequest } from "fastify";
import { eventStream } from "./event-stream.js";
import { GatewayMetrics } from "./gateway-metrics.js";
import { HttpAdmission } from "./http-admission.js";
import { answerOf, tagged } from "./http-answer.js";
import { Memories } from "./memories.js";
import { tellingFirst } from "./telling-first.js";

/** JSON in, messages on, JSON out. */
@Controller("v1/memories")
export class MemoriesHttp {
  constructor(
    private readonly admission: HttpAdmission,
    private readonly memories: Memories,
    private readonly errors: HttpErrorFilter,
    private readonly metrics: GatewayMetrics,
  ) {}

  @Post()
  @HttpCode(201)
  add(@Req() request: FastifyRequest, @Res({ passthrough: true }) reply: FastifyReply, @Body() body: unknown): Promise<string> {
    return this.admission.admit("write", request, reply, async (call) => addResponseToJson(answerOf(await this.memories.add(call, addFromJson(body)), reply)));
  }

  @Post("search")
  @HttpCode(200)
  search(@Req() request: FastifyRequest, @Res({ passthrough: true }) reply: FastifyReply, @Body() body: unknown): Promise<string> {
    return this.admission.admit("read", request, reply, async (call) => searchAnswerToJson(await this.memories.search(call, searchFromJson(body))));
  }

  @Post("search/stream")
  @HttpCode(200)
  async searchStream(@Req() request: FastifyRequest, @Res() reply: FastifyReply, @Body() body: unknown): Promise<void> {
    const stream = await eventStream(
      (emit) => this.admission.stream("read", request, reply, async (call, hold) => {
        const onFirst = () => { this.metrics.firstValue({ transport: "http", method: "search_stream", durationMs: reply.elapsedTime }); };
        for await (const event of tellingFirst(this.memories.searchStream(call, searchFromJson(body)), onFirst)) await emit(searchEventToJson(event), { hold, signal: call.signal });
      }),
      (error) => ({ event: "error", data: this.errors.problemWithin(error, request, reply) }),
    );
    // Proxies that gather an answer would undo what the stream is for. Sent without Nest, which would keep a stream that it sends,
    // and with it the request, for as long as the connection lives.
    await reply.headers({ "content-type": "text/event-stream", "x-accel-buffering": "no" }).send(stream);
  }

  @Get()
  list(@Req() request: FastifyRequest, @Res({ passthrough: true }) reply: FastifyReply, @Query() query: unknown): Promise<string> {
    return this.admission.admit("read", request, reply, async (call) => listResponseToJson(await this.memories.list(call, listFromQuery(query))));
  }

  /** For filters that are too long for a query. */
  @Post("list")
  @HttpCode(200)
  listByBody(@Req() request: FastifyRequest, @Res({ passthrough: true }) reply: FastifyReply, @Body() body: unknown): Promise<string> {
    return this.admission.admit("read", request, reply, async (call) => listResponseToJson(await this.memories.list(call, listFromJson(body))));
  }

  @Post("delete")
  @HttpCode(200)
  deleteMany(@Req() request: FastifyRequest, @Res({ passthrough: true }) reply: FastifyReply, @Body() body: unknown): Promise<string> {
    return this.admission.admit("write", request, reply, async (call) => deleteResponseToJson(answerOf(await this.memories.deleteMany(call, deleteManyFromJson(body)), reply)));
  }

  @Get(":id")
  get(@Req() request: FastifyRequest, @Res({ passthrough: true }) reply: FastifyReply, @Param("id") id: string): Promise<string> {
    return this.admission.admit("read", request, reply, async (call) => tagged(await this.memories.get(call, { id }), reply));
  }

  @Patch(":id")
  update(@Req() request: FastifyRequest, @Res({ passthrough: true }) reply: FastifyReply, @Param("id") id: string, @Body() body: unknown): Promise<string> {
    return this.admission.admit("write", request, reply, async (call) => {
      const update = updateFromJson(body, { id, ifMatch: request.headers["if-match"] });
      return tagged(answerOf(await this.memories.update(call, update), reply), reply);
    });
  }

  @Get(":id/history")
  history(@Req() request: FastifyRequest, @Res({ passthrough: true }) reply: FastifyReply, @Param("id") id: string): Promise<string> {
    return this.admission.admit("read", request, reply, async (call) => historyResponseToJson(await this.memories.history(call, { id })));
  }

  @Delete(":id")
  delete(@Req() request: FastifyRequest, @Res({ passthrough: true }) reply: FastifyReply, @Param("id") id: string): Promise<string> {
    return this.admission.admit("write", request, reply, async (call) =>
      deleteResponseToJson(answerOf(await this.memories.delete(call, deleteFromPath({ id, ifMatch: request.headers["if-match"] })), reply)));
  }
}
