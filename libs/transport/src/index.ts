export { callDeadlineMs, callSignal } from "./call-context.js";
export { connect, unary, type CallContext } from "./grpc-client.js";
export { GrpcErrorFilter } from "./grpc-error.filter.js";
export { grpcServer, healthOf, type GrpcServerSpec } from "./grpc-server.js";
export { fromGrpcStatus, REQUEST_ID_KEY, toGrpcStatus } from "./grpc-status.js";
export { MAX_ANSWER_BYTES, MAX_MESSAGE_BYTES } from "./limits.js";
export { runService } from "./run-service.js";
