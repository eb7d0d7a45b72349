export {
  AppError,
  DataLossError,
  DeadlineExceededError,
  InvalidArgumentError,
  NotFoundError,
  OverloadedError,
  PermissionDeniedError,
  StartupError,
  UnauthenticatedError,
  UnavailableError,
  type AppErrorOptions,
  type ErrorCode,
} from "./app-error.js";
export { codeOfGrpcStatus, statusOf, toAppError } from "./status.js";
