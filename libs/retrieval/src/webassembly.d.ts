/** What is used of it here: its types come with those of browsers alone. */
declare namespace WebAssembly {
  class CompileError extends Error {}

  class Memory {
    readonly buffer: ArrayBuffer;
    /** In pages of 64 KiB. */
    constructor(descriptor: { initial: number; maximum: number });
    grow(pages: number): number;
  }

  type Module = object;
  const Module: new (bytes: Uint8Array) => Module;

  class Instance {
    readonly exports: unknown;
    constructor(module: Module, imports: Record<string, Record<string, unknown>>);
  }
}
