import type { Server, ServiceDefinition, UntypedServiceImplementation } from "@grpc/grpc-js";
import { ReflectionService } from "@grpc/reflection";
import { HealthImplementation } from "grpc-health-check";

export interface StandardServicesSpec {
  /** Full names of the server's own services. */
  services: readonly string[];
  /** google.protobuf.FileDescriptorProto of the files that define them, with all they import, in base64. */
  descriptors: readonly string[];
}

interface OpenStream {
  end(): void;
  once(event: "close", listener: () => void): unknown;
}

/**
 * What any gRPC client expects beside a server's own services: health (grpc.health.v1), NOT_SERVING until told otherwise,
 * and reflection (grpc.reflection.v1 and v1alpha). Their streams can be ended: a graceful shutdown waits for every open one.
 */
export class StandardServices {
  readonly #names: readonly string[];
  readonly #health: HealthImplementation;
  readonly #reflection: ReflectionService;
  readonly #open = new Set<OpenStream>();
  #hasEnded = false;

  constructor({ services, descriptors }: StandardServicesSpec) {
    this.#names = ["", ...services];
    this.#health = new HealthImplementation(Object.fromEntries(this.#names.map((name) => [name, "NOT_SERVING"])));
    // It takes what a loader of .proto files would give, and reads this of it.
    const files = { fileDescriptorProtos: descriptors.map((file) => Buffer.from(file, "base64")) };
    this.#reflection = new ReflectionService({ files } as unknown as ConstructorParameters<typeof ReflectionService>[0], { services: [...services] });
  }

  addToServer(server: Server): void {
    const tracking = {
      addService: (service: ServiceDefinition, methods: UntypedServiceImplementation) => { server.addService(service, this.#tracked(service, methods)); },
    };
    this.#health.addToServer(tracking);
    this.#reflection.addToServer(tracking);
  }

  /** Whether anybody listens who will hear of the end. */
  get isWatched(): boolean {
    return this.#open.size > 0;
  }

  /** Says of the server and each of its services whether it serves. After the end it does not. */
  setServing(isServing: boolean): void {
    if (this.#hasEnded) return;
    for (const name of this.#names) this.#health.setStatus(name, isServing ? "SERVING" : "NOT_SERVING");
  }

  /** Tells every watcher NOT_SERVING and ends every stream, for good. */
  end(): void {
    this.setServing(false);
    this.#hasEnded = true;
    for (const stream of this.#open) stream.end();
  }

  #tracked(service: ServiceDefinition, methods: UntypedServiceImplementation): UntypedServiceImplementation {
    const handlers = Object.entries(methods).map(([name, handler]) => {
      const { responseStream } = Object.values(service).find(({ path, originalName }) => originalName === name || path.endsWith(`/${name}`)) ?? {};
      if (responseStream !== true) return [name, handler];
      const handle = handler as (stream: OpenStream) => void;
      return [name, (stream: OpenStream) => { this.#track(stream); handle(stream); if (this.#hasEnded) stream.end(); }];
    });
    return Object.fromEntries(handlers) as UntypedServiceImplementation;
  }

  #track(stream: OpenStream): void {
    this.#open.add(stream);
    stream.once("close", () => this.#open.delete(stream));
  }
}
