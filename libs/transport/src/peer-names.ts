import { X509Certificate } from "node:crypto";
import { ServerInterceptingCall, status, type ServerInterceptor } from "@grpc/grpc-js";
import { PermissionDeniedError } from "@memseal/errors";
import { LRUCache } from "lru-cache";
import { toGrpcStatus } from "./grpc-status.js";

/** More than there are gateways. */
const REMEMBERED = 1_000;

/** Refuses every call whose connection's certificate is for none of `names`. The certificate itself was verified when it connected. */
export function requirePeerName(names: readonly string[]): ServerInterceptor {
  const known = new LRUCache<string, boolean>({ max: REMEMBERED });
  const { message: details, metadata } = toGrpcStatus(new PermissionDeniedError("the caller's certificate is for no name that may call this service"));
  return (_method, call) => {
    const { sslPeerCertificate: certificate } = call.getAuthContext();
    const isNamed = certificate !== undefined && (known.get(certificate.fingerprint256) ?? remember(certificate.fingerprint256, certificate.raw));
    if (isNamed) return new ServerInterceptingCall(call);
    return new ServerInterceptingCall(call, {
      start: (next) => {
        next({ onReceiveMetadata: () => { call.sendStatus({ code: status.PERMISSION_DENIED, details, metadata }); } });
      },
    });
  };

  function remember(fingerprint: string, der: Buffer): boolean {
    const certificate = new X509Certificate(der);
    // Its alternative names alone: a common name is what anybody writes there.
    const isNamed = names.some((name) => certificate.checkHost(name, { subject: "never", wildcards: false }) !== undefined);
    known.set(fingerprint, isNamed);
    return isNamed;
  }
}
