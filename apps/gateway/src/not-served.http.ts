import { UnimplementedError } from "@memseal/errors";
import { Controller, Post } from "@nestjs/common";

/** Calls of the contract that this release does not do, refused by name. Over gRPC a call without a handler is UNIMPLEMENTED by itself. */
@Controller("v1")
export class NotServedHttp {
  @Post("rerank")
  rerank(): never {
    throw new UnimplementedError("reranking a caller's own documents");
  }
}
