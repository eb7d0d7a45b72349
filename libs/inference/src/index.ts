export { CrossEncoder } from "./cross-encoder.js";
export { Embedder } from "./embedder.js";
export { SHIPPED_MODELS_DIR, type Provider } from "./model-store.js";
export { PairTokenizer } from "./pair-tokenizer.js";
export { type Device, type LoadOptions } from "./session.js";
export { type TokenSequence, type TokenWindow } from "./tokenizer.js";
export { Windower } from "./windower.js";
