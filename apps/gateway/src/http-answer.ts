import { memoryToJson, type Memory } from "@memseal/contracts";
import { REPLAYED_KEY } from "@memseal/transport";
import type { FastifyReply } from "fastify";
import type { Written } from "./indexer-client.js";

/** Marks the answer of an earlier request as such. */
export function answerOf<Answer>({ answer, isReplayed }: Written<Answer>, reply: FastifyReply): Answer {
  if (isReplayed) void reply.header(REPLAYED_KEY, "true");
  return answer;
}

/** A memory with its version as the entity tag, for If-Match. */
export function tagged(memory: Memory, reply: FastifyReply): object {
  void reply.header("etag", `"${memory.version}"`);
  return memoryToJson(memory);
}
