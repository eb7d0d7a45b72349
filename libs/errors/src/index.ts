export {
  AppError,
  DataLossError,
  DeadlineExceededError,
  InvalidArgumentError,
  NotFoundError,
  OverloadedError,
  OverQuotaError,
  PermissionDeniedError,
  RateLimitedError,
  StartupError,
  UnauthenticatedError,
  UnavailableError,
  type AppErrorOptions,
  type ErrorCode,
} from "./app-error.js";
export { codeOfGrpcStatus, statusOf, toAppError } from "./status.js";
