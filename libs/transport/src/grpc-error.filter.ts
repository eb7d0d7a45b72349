import { Catch, type ArgumentsHost, type ExceptionFilter } from "@nestjs/common";
import type { Metadata } from "@grpc/grpc-js";
import { toAppError } from "@memseal/errors";
import type { Logger } from "@memseal/telemetry";
import { throwError, type Observable } from "rxjs";
import { REQUEST_ID_KEY, toGrpcStatus } from "./grpc-status.js";
import { logFailure } from "./log-failure.js";

/** The one place where a thrown value becomes a gRPC status. Nest's own filter would give an AppError no code. */
@Catch()
export class GrpcErrorFilter implements ExceptionFilter {
  constructor(private readonly log: Logger) {}

  catch(thrown: unknown, host: ArgumentsHost): Observable<never> {
    const error = toAppError(thrown);
    const requestId = host.switchToRpc().getContext<Metadata>().get(REQUEST_ID_KEY)[0]?.toString();
    logFailure(this.log, error, requestId);
    return throwError(() => toGrpcStatus(error));
  }
}
